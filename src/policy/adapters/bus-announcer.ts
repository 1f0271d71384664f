import type { Bus } from "../../shared/bus/bus.ts";
import { entities as entitiesTopic, policyRevisions } from "../../shared/bus/topics.ts";
import type { EntityUid } from "../cedar/types.ts";
import type { ChangeAnnouncer } from "../domain/change-announcer.ts";

/** Uids told one by one; beyond, everything is to be read anew. */
const maxNamed = 10_000;

/**
 * Announces changes on the bus. A change that could not be announced is in the store all the same, and the other replicas
 * find it when they next look there.
 */
export function createBusAnnouncer(bus: Bus, onError: (error: unknown) => void): ChangeAnnouncer {
  const service = "policy-service";
  return {
    async stateChanged({ active, shadow, generation }, previousActive) {
      const payload = {
        activeRevision: active,
        previousRevision: previousActive,
        shadowRevision: shadow?.revision ?? "",
        shadowSampleRate: shadow?.sampleRate ?? 0,
        generation: BigInt(generation),
      };
      await bus.publish(policyRevisions, { service, operation: "state-changed", payload }).catch(onError);
    },
    async entitiesChanged({ revision, previous, put, deleted }) {
      const everything = put.length + deleted.length > maxNamed;
      const payload = {
        entityRevision: BigInt(revision),
        previousEntityRevision: BigInt(previous),
        put: everything ? [] : put.map(toKey),
        deleted: everything ? [] : deleted.map(toKey),
        everything,
      };
      await bus.publish(entitiesTopic, { service, operation: "changed", payload }).catch(onError);
    },
  };
}

function toKey({ type, id }: EntityUid): { type: string; id: string } {
  return { type, id };
}
