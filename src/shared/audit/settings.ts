import * as v from "valibot";
import type { ConfigFields } from "../config/config.ts";
import { integer, oneOf, text } from "../config/parsers.ts";

/** What is audited, and where to. */
export interface AuditSettings {
  readonly auditEvents: "all" | "changes" | "off";
  readonly auditSpoolBytes: number;
  readonly auditFile: string;
  readonly auditFileBytes: number;
  readonly auditFileCount: number;
}

/** A share, from 0 to 1. */
export const share: v.GenericSchema<string, number> = v.pipe(
  v.string(),
  v.regex(/^(0|1|0?\.\d{1,9}|1\.0+)$/, "must be a number from 0 to 1"),
  v.transform(Number),
);

/** Where each comes from. */
export const auditFields: ConfigFields<AuditSettings> = {
  auditEvents: {
    env: "AUDIT_EVENTS",
    doc: "What is published on the topic `audit` beside logged decisions: `all`, authentications and administrative changes; `changes` alone; or `off`, nothing.",
    schema: oneOf("all", "changes", "off"),
    fallback: "all",
  },
  auditSpoolBytes: {
    env: "AUDIT_SPOOL_BYTES",
    doc: "Most that the spool in DATA_DIR takes, where events wait until the bus has them. When it is full, administrative changes are refused and authentications are no longer audited.",
    schema: integer(1_048_576, 1_099_511_627_776),
    fallback: "67108864",
  },
  auditFile: {
    env: "AUDIT_FILE",
    doc: "File that audit events are written to, one JSON object a line; `{service}` in it is the service's name. One process writes it. Of several with files on the same store, each event goes to one. Unset: none.",
    schema: text,
    fallback: "",
  },
  auditFileBytes: {
    env: "AUDIT_FILE_BYTES",
    doc: "Size at which that file is set aside as `<file>.1`, and a new one begun.",
    schema: integer(4_096, 1_099_511_627_776),
    fallback: "104857600",
  },
  auditFileCount: {
    env: "AUDIT_FILE_COUNT",
    doc: "How many such files are kept.",
    schema: integer(1, 1_000),
    fallback: "10",
  },
};
