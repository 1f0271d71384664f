import type { EntityUid } from "../../../gen/gatehouse/policy/v1/entity_pb.ts";

const typeTag = 0x0a;
const idTag = 0x12;

/** A uid of exactly a type and an id, in this order, in ASCII. */
export function decodeUid(bytes: Buffer, start: number, end: number): EntityUid | undefined {
  if (bytes[start] !== typeTag) return undefined;
  const typeEnd = start + 2 + (bytes[start + 1] ?? 0xff);
  if (typeEnd + 2 > end || bytes[typeEnd] !== idTag) return undefined;
  if (typeEnd + 2 + (bytes[typeEnd + 1] ?? 0xff) !== end) return undefined;
  for (let at = start; at < end; at += 1) if ((bytes[at] as number) >= 0x80) return undefined;
  return {
    $typeName: "gatehouse.policy.v1.EntityUid",
    type: bytes.toString("latin1", start + 2, typeEnd),
    id: bytes.toString("latin1", typeEnd + 2, end),
  };
}

/** Longest text of the plain form: UTF-8 takes at most three bytes a character, and its length must fit one byte. */
const plainTextLength = 42;

/** Whether a text can be written in the plain form. */
export function isPlain(text: string): boolean {
  return text.length <= plainTextLength && text.isWellFormed();
}
