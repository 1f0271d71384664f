// All keys carry one hash tag, so that each step is one script in one slot of a Redis Cluster.
const prefix = "gatehouse:{policy}:";

/** String: sequence number of the latest revision. */
export const sequenceKey: string = `${prefix}sequence`;
/** Hash: revisions without their sources, as JSON, by id. */
export const revisionsKey: string = `${prefix}revisions`;
/** Hash: sources of revisions, as JSON, by id. */
export const sourcesKey: string = `${prefix}sources`;
/** Hash: ids of revisions by their content hash. */
export const hashesKey: string = `${prefix}hashes`;
/** Sorted set: ids of revisions by their sequence number. */
export const orderKey: string = `${prefix}order`;
/** Hash: `generation` and `state`, what is in force. */
export const stateKey: string = `${prefix}state`;
/** Hash: shadow reports of a comparison by replica. */
export function shadowReportsKey(comparison: string): string {
  return `${prefix}shadow:${comparison}`;
}
/** Hash: entities as JSON, by their uid. */
export const entitiesKey: string = `${prefix}entities`;
/** String: revision of the entities. */
export const entityRevisionKey: string = `${prefix}entity-revision`;
