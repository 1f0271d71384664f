import type { EntityUid } from "../../../gen/gatehouse/policy/v1/entity_pb.ts";
import { hashOf, keepUid, memo, type SeenUid, seenUid } from "./seen-uids.ts";

const typeTag = 0x0a;
const idTag = 0x12;

/** A uid of exactly a type and an id, in this order, in ASCII. The same one as before, if it was seen lately. */
export function decodeUid(bytes: Buffer, start: number, end: number): EntityUid | undefined {
  if (bytes[start] !== typeTag) return undefined;
  const typeEnd = start + 2 + (bytes[start + 1] ?? 0xff);
  if (typeEnd + 2 > end || bytes[typeEnd] !== idTag) return undefined;
  if (typeEnd + 2 + (bytes[typeEnd + 1] ?? 0xff) !== end) return undefined;
  const hash = hashOf(bytes, start, end);
  if (hash < 0) return undefined;
  const seen = seenUid(bytes, start + 2, typeEnd, typeEnd + 2, end, hash);
  if (seen !== undefined) return seen;
  const uid: SeenUid = {
    $typeName: "gatehouse.policy.v1.EntityUid",
    type: bytes.toString("latin1", start + 2, typeEnd),
    id: bytes.toString("latin1", typeEnd + 2, end),
    [memo]: undefined,
  };
  keepUid(uid, hash);
  return uid;
}

/** Longest text of the plain form: UTF-8 takes at most three bytes a character, and its length must fit one byte. */
const plainTextLength = 42;

/** Whether a text can be written in the plain form. */
export function isPlain(text: string): boolean {
  return text.length <= plainTextLength && text.isWellFormed();
}

/** Writes a text of the plain form as a length-delimited field, and answers where it ends. */
export function writeText(into: Buffer, tag: number, text: string, at: number): number {
  const length = into.write(text, at + 2, "utf8");
  into[at] = tag;
  into[at + 1] = length;
  return at + 2 + length;
}
