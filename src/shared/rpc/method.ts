import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type Message,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { CallMetrics } from "../metrics/call-metrics.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { type FieldViolation, invalidArgument, ServiceError } from "../service-error.ts";
import type { MethodCodec, ServedService } from "./handler.ts";
import { contractValidator } from "./steps/validation.ts";

/** One method with all that its calls need, looked up once. */
export interface ServedMethod {
  readonly descriptor: DescMethod;
  /** `package.Service/Method`. */
  readonly name: string;
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly metrics: CallMetrics;
  /** Whether it is served under overload too. */
  readonly essential: boolean;
  /** The handler in the form its kind asks for; one that refuses with UNIMPLEMENTED where the service has none. */
  readonly handler: (...args: never[]) => unknown;
  /** Encodes and decodes its messages on the gRPC port. */
  readonly codec: MethodCodec<Message, Message>;
  /** Throws INVALID_ARGUMENT with field violations. */
  readonly validate: (request: Message) => void;
}

/** All methods of the services. */
export function servedMethods(services: readonly ServedService[], metrics: Metrics): ServedMethod[] {
  return services.flatMap((service) =>
    service.descriptor.methods.map((descriptor) => servedMethod(service, descriptor, metrics)),
  );
}

function servedMethod(service: ServedService, descriptor: DescMethod, metrics: Metrics): ServedMethod {
  const name = `${service.descriptor.typeName}/${descriptor.name}`;
  const handler = service.handlers[descriptor.localName] as ServedMethod["handler"] | undefined;
  const own = service.validators[descriptor.localName] as ((message: Message) => readonly FieldViolation[]) | undefined;
  const violationsOf = own ?? contractValidator(descriptor.input);
  return {
    descriptor,
    name,
    path: `/${name}`,
    metrics: metrics.calls(name),
    essential: service.essential,
    handler:
      handler ??
      (() => {
        throw new ServiceError("UNIMPLEMENTED", `${name} is not implemented.`, { reason: "UNIMPLEMENTED" });
      }),
    codec: (service.codecs[descriptor.localName] as MethodCodec<Message, Message> | undefined) ?? {
      decode: (bytes) => fromBinary(descriptor.input, bytes),
      encode: (message) => toBinary(descriptor.output, message),
    },
    validate(request) {
      const violations = violationsOf(request);
      if (violations.length > 0) throw invalidArgument(violations);
    },
  };
}

/**
 * Decodes and validates a request.
 *
 * @throws ServiceError INVALID_ARGUMENT when the bytes are no such message, among them strings that are not UTF-8.
 */
export function decodeRequest(method: ServedMethod, bytes: Uint8Array): Message {
  let request: Message;
  try {
    request = method.codec.decode(bytes);
  } catch (cause) {
    throw malformedRequest(cause);
  }
  method.validate(request);
  return request;
}

/** INVALID_ARGUMENT for bytes or JSON that are no message of the contract. */
export function malformedRequest(cause: unknown): ServiceError {
  return new ServiceError("INVALID_ARGUMENT", "The message is malformed.", { reason: "MALFORMED_MESSAGE", cause });
}

/** Encodes an answer. The Buffer shares its memory, so nothing is copied. */
export function encodeResponse(method: ServedMethod, response: MessageInitShape<DescMessage>): Buffer {
  const bytes = method.codec.encode(create(method.descriptor.output, response));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
