import { randomUUID } from "node:crypto";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { EnvelopeSchema } from "../../../gen/gatehouse/bus/v1/bus_pb.ts";
import { invalidArgument } from "../service-error.ts";
import type { Position } from "./position.ts";
import type { Topic } from "./topic.ts";

/** A message to publish. */
export interface Outgoing<D extends DescMessage> {
  /** Service that publishes, for example `auth-service`. 1 to 64 bytes. */
  readonly service: string;
  /** What happened, in the topic's terms, for example `revoke`. 1 to 64 bytes. */
  readonly operation: string;
  /** The topic's message, or that message encoded. */
  readonly payload: MessageInitShape<D> | Uint8Array;
  /** Identifier to publish under, for one who publishes again what may have been lost. 1 to 64 bytes. Default: a new UUID. */
  readonly id?: string;
}

/** A message as it was received. */
export interface Message<D extends DescMessage> {
  readonly id: string;
  readonly service: string;
  readonly operation: string;
  readonly payload: MessageShape<D>;
  /** When it was published, by the publisher's clock, in milliseconds since the epoch. */
  readonly timestamp: number;
  readonly position: Position;
}

/** The largest payload, in bytes. */
export const maxPayloadBytes = 1_048_576;

/**
 * Encodes a message in its envelope.
 *
 * @throws ServiceError INVALID_ARGUMENT when a field is out of its bounds.
 */
export function encodeMessage<D extends DescMessage>(topic: Topic<D>, message: Outgoing<D>, now: number): Uint8Array {
  const payload = encodePayload(topic, message.payload);
  const id = message.id ?? randomUUID();
  const violations = [
    ...nameViolations("id", id),
    ...nameViolations("service", message.service),
    ...nameViolations("operation", message.operation),
    ...(payload.length > maxPayloadBytes ? [{ field: "payload", description: "must be at most 1 MiB" }] : []),
  ];
  if (violations.length > 0) throw invalidArgument(violations);
  const { service, operation } = message;
  const envelope = create(EnvelopeSchema, { id, service, operation, payload, timestamp: timestampFromMs(now) });
  return toBinary(EnvelopeSchema, envelope);
}

function encodePayload<D extends DescMessage>(topic: Topic<D>, payload: Outgoing<D>["payload"]): Uint8Array {
  if (payload instanceof Uint8Array) return payload;
  return toBinary(topic.schema, create(topic.schema, payload as MessageInitShape<D>));
}

function nameViolations(field: string, text: string): { field: string; description: string }[] {
  const bytes = Buffer.byteLength(text);
  return bytes >= 1 && bytes <= 64 ? [] : [{ field, description: "must be 1 to 64 bytes" }];
}

/** Decodes an envelope and its payload; throws when either is malformed. */
export function decodeMessage<D extends DescMessage>(
  topic: Topic<D>,
  position: Position,
  body: Uint8Array,
): Message<D> {
  const { id, service, operation, payload, timestamp } = fromBinary(EnvelopeSchema, body);
  if (id === "" || timestamp === undefined) throw new Error("The message has no identifier or no timestamp.");
  return {
    id,
    service,
    operation,
    payload: fromBinary(topic.schema, payload),
    timestamp: timestampMs(timestamp),
    position,
  };
}
