import type { EntityUid } from "../../../gen/gatehouse/policy/v1/entity_pb.ts";

/** Where whoever uses a uid may keep what it has found out about it. */
export const memo: unique symbol = Symbol("memo");

/** A uid that is shared by all messages that name it: never to be changed. */
export interface SeenUid extends EntityUid {
  [memo]: unknown;
}

/** Slots, a power of two; what falls into a slot takes the place of what was there, so that callers cannot make it grow. */
const slotCount = 8_192;
/** Longer uids are not kept, in bytes. */
const maxBytes = 128;
const slots: (SeenUid | undefined)[] = new Array(slotCount).fill(undefined);

/** The uid in ASCII that was made of the same type and id before, if it is still kept. `hash` is by {@link hashOf}. */
export function seenUid(
  bytes: Buffer,
  typeStart: number,
  typeEnd: number,
  idStart: number,
  idEnd: number,
  hash: number,
): SeenUid | undefined {
  const uid = slots[hash & (slotCount - 1)];
  if (uid === undefined || uid.type.length !== typeEnd - typeStart || uid.id.length !== idEnd - idStart)
    return undefined;
  const { type, id } = uid;
  for (let at = 0; at < id.length; at += 1) if (id.charCodeAt(at) !== bytes[idStart + at]) return undefined;
  for (let at = 0; at < type.length; at += 1) if (type.charCodeAt(at) !== bytes[typeStart + at]) return undefined;
  return uid;
}

/** Keeps a uid in ASCII for those who name it next. */
export function keepUid(uid: SeenUid, hash: number): void {
  if (uid.type.length + uid.id.length <= maxBytes) slots[hash & (slotCount - 1)] = uid;
}

/** FNV-1a of some bytes; -1 when one of them is not ASCII. */
export function hashOf(bytes: Buffer, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] as number;
    if (byte >= 0x80) return -1;
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return (hash ^ (hash >>> 13)) & 0x7fff_ffff;
}
