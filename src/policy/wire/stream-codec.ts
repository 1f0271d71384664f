import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { EntityUid } from "../../../gen/gatehouse/policy/v1/entity_pb.ts";
import {
  type EvaluateStreamRequest,
  EvaluateStreamRequestSchema,
  type EvaluateStreamResponse,
  EvaluateStreamResponseSchema,
  type RowItem,
  type RowResult,
} from "../../../gen/gatehouse/policy/v1/stream_pb.ts";
import type { MethodCodec } from "../../shared/rpc/handler.ts";
import { decodeUid, isPlain, writeText } from "./plain-form.ts";

/**
 * Encodes and decodes rows in their plain form by hand: an id and three uids in ASCII in, a decision with its policies out.
 *
 * With protobuf-es a row costs three times what it costs to evaluate. Frames that hold anything else, and all columns, go
 * to protobuf-es, so this decides nothing about the wire format, and a test holds the two equal.
 */
export const streamCodec: MethodCodec<EvaluateStreamRequest, EvaluateStreamResponse> = {
  decode: (bytes) => decodeRows(bytes) ?? fromBinary(EvaluateStreamRequestSchema, bytes),
  encode: (message) => encodeRows(message) ?? toBinary(EvaluateStreamResponseSchema, message),
};

/** EvaluateStreamRequest.rows and EvaluateStreamResponse.rows: field 2, length-delimited. */
const rowsTag = 0x12;
/** RowFrame.items and RowResults.results: field 1, length-delimited. */
const itemTag = 0x0a;
/** RowResults.batch_id: field 2, length-delimited. */
const batchIdTag = 0x12;

function decodeRows(bytes: Uint8Array): EvaluateStreamRequest | undefined {
  if (!Buffer.isBuffer(bytes) || bytes[0] !== rowsTag) return undefined;
  let at = 1;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    if (byte === undefined || shift > 21) return undefined;
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  if (at + length !== bytes.length) return undefined;
  const items: RowItem[] = [];
  while (at < bytes.length) {
    const itemLength = bytes[at + 1] ?? 0xff;
    const end = at + 2 + itemLength;
    if (bytes[at] !== itemTag || itemLength >= 0x80 || end > bytes.length) return undefined;
    const item = decodeRow(bytes, at + 2, end);
    if (item === undefined) return undefined;
    items.push(item);
    at = end;
  }
  return {
    $typeName: "gatehouse.policy.v1.EvaluateStreamRequest",
    frame: { case: "rows", value: { $typeName: "gatehouse.policy.v1.RowFrame", items } },
  };
}

/** A row of exactly an id, a principal, an action and a resource, in this order. */
function decodeRow(bytes: Buffer, start: number, end: number): RowItem | undefined {
  const idEnd = fieldEnd(bytes, start, 0x0a, end);
  const principalEnd = fieldEnd(bytes, idEnd, 0x12, end);
  const actionEnd = fieldEnd(bytes, principalEnd, 0x1a, end);
  const resourceEnd = fieldEnd(bytes, actionEnd, 0x22, end);
  if (resourceEnd !== end) return undefined;
  for (let at = start + 2; at < idEnd; at += 1) if ((bytes[at] as number) >= 0x80) return undefined;
  const principal = decodeUid(bytes, idEnd + 2, principalEnd);
  const action = decodeUid(bytes, principalEnd + 2, actionEnd);
  const resource = decodeUid(bytes, actionEnd + 2, resourceEnd);
  if (principal === undefined || action === undefined || resource === undefined) return undefined;
  return row(bytes.toString("latin1", start + 2, idEnd), principal, action, resource);
}

/** End of a length-delimited field that begins at `at`; beyond any `limit` when it is not there. */
function fieldEnd(bytes: Buffer, at: number, tag: number, limit: number): number {
  if (at + 2 > limit || bytes[at] !== tag) return Number.POSITIVE_INFINITY;
  const end = at + 2 + (bytes[at + 1] as number);
  return end > limit ? Number.POSITIVE_INFINITY : end;
}

function row(id: string, principal: EntityUid, action: EntityUid, resource: EntityUid): RowItem {
  return { $typeName: "gatehouse.policy.v1.RowItem", id, principal, action, resource, entities: [], timeoutMs: 0 };
}

/** Most rows of one answer, and the most bytes of one that has a length of one byte. */
const plainRows = 1_000;
const rowBytes = 2 + 0x7f;
const scratch = Buffer.allocUnsafe(plainRows * rowBytes + 1_024);

function encodeRows({ frame }: EvaluateStreamResponse): Buffer | undefined {
  if (frame.case !== "rows" || frame.value.results.length > plainRows) return undefined;
  let at = 0;
  for (const result of frame.value.results) {
    at = encodeRow(result, at);
    if (at < 0) return undefined;
  }
  const { batchId } = frame.value;
  if (!isPlain(batchId)) return undefined;
  if (batchId !== "") at = writeText(scratch, batchIdTag, batchId, at);
  const lengthBytes = at < 0x80 ? 1 : at < 0x4000 ? 2 : 3;
  const bytes = Buffer.allocUnsafe(1 + lengthBytes + at);
  bytes[0] = rowsTag;
  for (let index = 0; index < lengthBytes; index += 1) {
    bytes[1 + index] = ((at >>> (7 * index)) & 0x7f) | (index < lengthBytes - 1 ? 0x80 : 0);
  }
  scratch.copy(bytes, 1 + lengthBytes, 0, at);
  return bytes;
}

/** Writes a result at `start` and answers where it ends; -1 when it is not in the plain form. */
function encodeRow({ id, result }: RowResult, start: number): number {
  if (result.case !== "decision" || !isPlain(id) || id === "") return -1;
  const { decision, determiningPolicies, errors, reason } = result.value;
  if (errors.length > 0 || decision === 0 || reason === 0 || determiningPolicies.length > 1) return -1;
  const [policy] = determiningPolicies;
  // Two texts of the plain form and their frames could just exceed a length of one byte.
  if (policy !== undefined && (!isPlain(policy) || (id.length + policy.length) * 3 > 100)) return -1;
  let at = writeText(scratch, 0x0a, id, start + 2);
  scratch[at] = 0x12;
  const decisionStart = at + 2;
  at = decisionStart;
  scratch[at++] = 0x08;
  scratch[at++] = decision;
  if (policy !== undefined) at = writeText(scratch, 0x12, policy, at);
  scratch[at++] = 0x20;
  scratch[at++] = reason;
  scratch[decisionStart - 1] = at - decisionStart;
  scratch[start] = itemTag;
  scratch[start + 1] = at - start - 2;
  return at;
}
