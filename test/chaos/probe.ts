import { setTimeout as sleep } from "node:timers/promises";
import { ServiceError } from "../../src/shared/service-error.ts";
import type { Calls } from "./calls.ts";
import type { Clients } from "./clients.ts";
import type { Recorder } from "./recorder.ts";

/** Asks whether every replica serves every kind of call. */
export interface Probe {
  /** Waits until all serve; answers when that was, or undefined when they do not within `limitMs`. */
  untilWell(limitMs: number): Promise<number | undefined>;
}

const password = "password of the probe";
const name = "probe";

/** Makes a user for the probe, who may view. Call it while all is well. */
export async function createProbe(clients: Clients, calls: Calls, recorder: Recorder): Promise<Probe> {
  const [auth] = clients.auth;
  const [policy] = clients.policy;
  if (auth === undefined || policy === undefined) throw new Error("there are no replicas");
  await calls.createUser(auth, name, password);
  await calls.putEntity(policy, name);
  const signedIn = await calls.signIn(auth, name, password);
  if (signedIn === undefined) throw new Error("the probe could not sign in before anything went wrong");
  const { session } = signedIn;

  /** Each a call to one replica, that answers whether it went well. */
  const checks = [
    ...clients.auth.flatMap((at) => [
      async () => (await calls.authenticate(at, session)).outcome === "ok",
      async () => (await calls.authorize(at, session, "view")).answer?.allowed === true,
      // Writes to the store without making anything.
      async () => (await calls.revokeUser(at, "nobody", [])).outcome === "ok",
    ]),
    ...clients.policy.flatMap((at) => [
      async () => (await calls.evaluate(at, name, "view", "unary")).outcome === "ok",
      async () => (await calls.evaluate(at, name, "view", "stream")).outcome === "ok",
      async () => (await calls.putEntity(at, name)).outcome === "ok",
    ]),
  ];

  return {
    async untilWell(limitMs) {
      const end = recorder.now() + limitMs;
      let open = checks;
      while (recorder.now() < end) {
        const well = await Promise.all(open.map((check) => check().catch(isServiceError)));
        const failed = open.filter((_, index) => well[index] !== true);
        // Whatever was well at the end of a round that began before the others were is asked once more with them.
        if (failed.length === 0 && open === checks) return recorder.now();
        open = failed.length === 0 ? checks : failed;
        if (failed.length > 0) await sleep(50);
      }
      return undefined;
    },
  };
}

function isServiceError(error: unknown): false {
  if (!(error instanceof ServiceError)) throw error;
  return false;
}
