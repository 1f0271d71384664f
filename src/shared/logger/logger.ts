import { type DestinationStream, type Logger, pino, stdSerializers, stdTimeFunctions } from "pino";
import pretty from "pino-pretty";
import { censor, redactSecrets, secretSpellings } from "./redact-secrets.ts";

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LoggerOptions {
  /** Value of the field `service`. */
  readonly service: string;
  /** Default: `info`. */
  readonly level?: LogLevel;
  /** `json`, one object a line, or `pretty`, for people. Default: `json`. */
  readonly format?: "json" | "pretty";
  /** Default: standard output. For `pretty`, a Node stream. */
  readonly destination?: DestinationStream;
}

const hidden = (): string => censor;

/** For names at the top of a line and in a child's bindings, which the formatter below does not see. */
const serializers = {
  ...Object.fromEntries(secretSpellings.map((name) => [name, hidden])),
  err: (error: Error) => redactSecrets(stdSerializers.err(error)),
};

/**
 * Creates a service's logger: JSON lines with `level`, `time` (RFC 3339), `service` and `msg`, or readable ones. Fields named
 * like secrets are replaced by `[redacted]`. Messages of the contracts are logged by way of `redactMessage`.
 */
export function createLogger(options: LoggerOptions): Logger {
  const destination =
    options.format === "pretty"
      ? pretty({
          ignore: "pid,hostname,service",
          translateTime: "SYS:HH:MM:ss.l",
          destination: options.destination ?? 1,
        })
      : options.destination;
  return pino(
    {
      level: options.level ?? "info",
      base: { service: options.service },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: redactFields },
      serializers,
    },
    ...(destination === undefined ? [] : [destination]),
  );
}

/** Errors are left to the serializer, which knows what of them is worth telling. */
function redactFields(fields: Record<string, unknown>): Record<string, unknown> {
  const { err, ...others } = fields;
  return err === undefined ? redactSecrets(fields) : { ...redactSecrets(others), err };
}
