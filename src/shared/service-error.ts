/** gRPC status codes by their canonical names (grpc/doc/statuscodes.md). */
export const statusCodes = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export type StatusCode = keyof typeof statusCodes;

const statusNames: readonly StatusCode[] = Object.keys(statusCodes) as StatusCode[];

/** Name of a numeric gRPC status code; `UNKNOWN` for a number that is none. */
export function statusName(code: number): StatusCode {
  return statusNames[code] ?? "UNKNOWN";
}

/** One wrong field of a request: `field` is its path in the message, for example `principal.id` or `context.age`. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

export interface ServiceErrorOptions {
  /** Stable, UPPER_SNAKE_CASE; becomes google.rpc.ErrorInfo.reason in the domain `gatehouse`. See docs/errors.md. */
  readonly reason: string;
  /** Becomes google.rpc.BadRequest. */
  readonly violations?: readonly FieldViolation[];
  /** Becomes google.rpc.RetryInfo, in milliseconds. */
  readonly retryAfterMs?: number;
  /** Becomes ErrorInfo.metadata. Never a secret, never a caller's value. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/**
 * An error that is meant for the caller: the one way in which domain code and handlers refuse.
 *
 * Whatever else is thrown reaches the caller as INTERNAL without its message.
 */
export class ServiceError extends Error {
  override readonly name = "ServiceError";
  readonly code: StatusCode;
  readonly reason: string;
  readonly violations: readonly FieldViolation[];
  readonly retryAfterMs: number | undefined;
  readonly metadata: Readonly<Record<string, string>>;

  constructor(code: StatusCode, message: string, options: ServiceErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.reason = options.reason;
    this.violations = options.violations ?? [];
    this.retryAfterMs = options.retryAfterMs;
    this.metadata = options.metadata ?? {};
  }
}

/** INVALID_ARGUMENT with field violations. */
export function invalidArgument(violations: readonly FieldViolation[]): ServiceError {
  const [first] = violations;
  const more = violations.length > 1 ? ` (and ${violations.length - 1} more)` : "";
  const message = first === undefined ? "The request is not valid." : `${first.field}: ${first.description}${more}`;
  return new ServiceError("INVALID_ARGUMENT", message, { reason: "INVALID_REQUEST", violations });
}
