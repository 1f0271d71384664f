import { type DestinationStream, type Logger, pino, stdTimeFunctions } from "pino";
import pretty from "pino-pretty";

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LoggerOptions {
  /** Value of the field `service`. */
  readonly service: string;
  /** Default: `info`. */
  readonly level?: LogLevel;
  /** `json`, one object a line, or `pretty`, for people. Default: `json`. */
  readonly format?: "json" | "pretty";
  /** Default: standard output. */
  readonly destination?: DestinationStream;
}

/** Names of fields that never reach the log, in any spelling that our code or headers use. */
const secretNames = [
  "authorization",
  "cookie",
  "password",
  "secret",
  "token",
  "accessToken",
  "access_token",
  "refreshToken",
  "refresh_token",
  "sessionToken",
  "session_token",
  "bearerToken",
  "bearer_token",
  "externalToken",
  "external_token",
  "apiKey",
  "api_key",
  "clientSecret",
  "client_secret",
  "totpCode",
  "totp_code",
  "backupCode",
  "backup_code",
  "privateKey",
  "private_key",
];
const secretHeaders = ["set-cookie", "proxy-authorization", "x-api-key", "x-forwarded-client-cert"];

/** Each name at the top of a log line and one to three objects below it. */
const secretPaths = ["", "*.", "*.*.", "*.*.*."].flatMap((prefix) => [
  ...secretNames.map((name) => `${prefix}${name}`),
  ...secretHeaders.map((name) => (prefix === "" ? `["${name}"]` : `${prefix.slice(0, -1)}["${name}"]`)),
]);

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
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secretPaths, censor: "[redacted]" },
    },
    ...(destination === undefined ? [] : [destination]),
  );
}
