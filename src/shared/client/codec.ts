import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { ServiceError } from "../service-error.ts";

/**
 * Serializes a message without copying it.
 *
 * @throws ServiceError INVALID_ARGUMENT when a field holds what its type cannot.
 */
export function serialize<D extends DescMessage>(schema: D, message: MessageInitShape<D>): Buffer {
  try {
    const { buffer, byteOffset, byteLength } = toBinary(schema, create(schema, message));
    return Buffer.from(buffer, byteOffset, byteLength);
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new ServiceError("INVALID_ARGUMENT", detail, { reason: "INVALID_REQUEST", cause });
  }
}

/** A grpc-js deserializer of a message. */
export function deserializer<D extends DescMessage>(schema: D): (bytes: Buffer) => MessageShape<D> {
  return (bytes) => fromBinary(schema, bytes);
}

/** A grpc-js serializer for what is serialized already. */
export function passThrough(bytes: Buffer): Buffer {
  return bytes;
}
