import type { Entity } from "../../../gen/gatehouse/policy/v1/entity_pb.ts";
import { type FieldViolation, invalidArgument } from "../../shared/service-error.ts";
import { createDecision, type Decision } from "../cedar/decision.ts";
import type { PreparedContext, ResolvedEntity } from "../cedar/engine.ts";
import { EntityError, ValueError } from "../cedar/errors.ts";
import type { CedarJsonObject, EntityUid } from "../cedar/types.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import { memo, type SeenUid } from "../wire/seen-uids.ts";

/** An entity uid of a stream, resolved for the snapshot in use. */
export interface StreamEntity {
  readonly uid: EntityUid;
  readonly ref: ResolvedEntity;
  /** The engine that it was resolved for. */
  readonly engine: number;
}

/** A context of a stream, in JSON and made ready. */
export interface StreamContext {
  readonly json: CedarJsonObject;
  readonly prepared: PreparedContext;
}

/** Offers an item that was decided, by its index in the frame, to the shadow and the decision log. */
export type SampleItem = (
  principal: StreamEntity,
  action: StreamEntity,
  resource: StreamEntity,
  context: StreamContext,
  decision: Decision,
  entities: readonly Entity[],
  index: number,
) => void;

/**
 * Evaluates items of a stream on one snapshot without allocating: the query and the decision are used again for the next.
 */
export class ItemEvaluator {
  readonly snapshot: Snapshot;
  /** The last decision. */
  readonly decision: Decision = createDecision();
  readonly #engine: number;
  readonly #singles: string[][] = [];
  readonly #query: { principal: EntityUid; action: EntityUid; resource: EntityUid; context: CedarJsonObject };

  constructor(snapshot: Snapshot) {
    const nobody: EntityUid = { type: "", id: "" };
    this.snapshot = snapshot;
    this.#engine = snapshot.engine.id;
    this.#query = { principal: nobody, action: nobody, resource: nobody, context: {} };
  }

  /** @throws ServiceError INVALID_ARGUMENT when the uid is malformed. */
  resolve(uid: EntityUid, field: string): StreamEntity {
    const { engine } = this.snapshot;
    const entity = { uid, ref: this.#refusing(field, () => engine.resolve(uid)), engine: engine.id };
    if (memo in uid) (uid as SeenUid)[memo] = entity;
    return entity;
  }

  /** What {@link resolve} answered for the same uid before, whose fields were checked then. */
  known(uid: EntityUid | undefined): StreamEntity | undefined {
    const known = (uid as SeenUid | undefined)?.[memo] as StreamEntity | undefined;
    return known !== undefined && known.engine === this.#engine ? known : undefined;
  }

  /** The list of one determining policy, by its index: one for all decisions that it makes alone. */
  single(policy: number): string[] {
    this.#singles[policy] ??= [this.snapshot.engine.policySet.policyIds[policy] as string];
    return this.#singles[policy];
  }

  /** @throws ServiceError INVALID_ARGUMENT naming the part of the context that is malformed. */
  prepare(json: CedarJsonObject): StreamContext {
    return { json, prepared: this.#refusing("context", () => this.snapshot.engine.prepareContext(json)) };
  }

  /**
   * Decides into `decision`.
   *
   * @throws ServiceError INVALID_ARGUMENT when the request does not fit the schema.
   */
  decide(principal: StreamEntity, action: StreamEntity, resource: StreamEntity, context: StreamContext): Decision {
    const { engine, requestValidator } = this.snapshot;
    let { prepared } = context;
    if (requestValidator !== undefined) {
      const query = this.#query;
      query.principal = principal.uid;
      query.action = action.uid;
      query.resource = resource.uid;
      query.context = context.json;
      const check = requestValidator(query);
      if (!check.ok) throw invalidArgument([{ field: check.field, description: check.reason }]);
      if (check.context !== context.json) prepared = engine.prepareContext(check.context);
    }
    engine.decide(principal.ref, action.ref, resource.ref, prepared, this.decision);
    return this.decision;
  }

  #refusing<T>(field: string, run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw error instanceof EntityError || error instanceof ValueError
        ? invalidArgument([toViolation(error, field)])
        : error;
    }
  }
}

function toViolation(error: EntityError | ValueError, field: string): FieldViolation {
  return { field: error instanceof ValueError ? error.path : field, description: error.reason };
}
