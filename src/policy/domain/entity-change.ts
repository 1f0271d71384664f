import { type FieldViolation, invalidArgument } from "../../shared/service-error.ts";
import type { EntityStore } from "../cedar/entity-store.ts";
import { EntityError, ValueError } from "../cedar/errors.ts";
import type { EntityJson, EntityUid } from "../cedar/types.ts";
import { normalizeEntities } from "./entity-normalizer.ts";
import { findAction } from "./schema.ts";
import type { Snapshot } from "./snapshot.ts";

/** One atomic batch of changes to resident entities: `deletes`, then `puts`. */
export interface EntityChange {
  readonly puts: readonly EntityJson[];
  readonly deletes: readonly EntityUid[];
}

/** Most faults that one refusal lists. */
const maxFaults = 100;

/**
 * The snapshot after a change of resident entities.
 *
 * `shared` keeps snapshots that have their entities in common from each having a copy of what changed.
 *
 * @throws ServiceError INVALID_ARGUMENT naming each entity that the schema or the bounds do not admit; then nothing changes.
 */
export function withEntityChange(
  snapshot: Snapshot,
  change: EntityChange,
  shared: Map<EntityStore, EntityStore> = new Map(),
): Snapshot {
  const before = snapshot.engine.entities;
  const known = shared.get(before);
  if (known !== undefined) return { ...snapshot, engine: snapshot.engine.over(known) };
  const { own, schema } = snapshot;
  const { entities, faults } = normalizeEntities(change.puts, schema);
  const violations: FieldViolation[] = faults.map(({ index, path, reason }) => violation(index, path, reason));
  if (schema !== undefined) {
    for (const [index, { uid }] of entities.entries()) {
      if (findAction(schema, uid) !== undefined) violations.push(violation(index, "uid", "actions are the schema's"));
    }
  }
  if (violations.length > 0) throw invalidArgument(violations.slice(0, maxFaults));
  const restored = change.deletes.flatMap((uid) => own.get(uid) ?? []);
  const deletes = change.deletes.filter(({ type, id }) => own.find(type, id) === undefined);
  try {
    const after = before.with([...restored, ...entities], deletes);
    shared.set(before, after);
    return { ...snapshot, engine: snapshot.engine.over(after) };
  } catch (error) {
    if (!(error instanceof EntityError || error instanceof ValueError)) throw error;
    throw invalidArgument([{ field: "entities", description: error.message }]);
  }
}

function violation(index: number, path: string, reason: string): FieldViolation {
  return { field: `entities[${index}].${path}`, description: reason };
}
