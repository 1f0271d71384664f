import * as v from "valibot";
import type { Json } from "../domain/principal.ts";
import { fields } from "../strict-fields.ts";
import type { ContextTemplate } from "./context-template.ts";
import { type EntityTemplate, parseEntityTemplate } from "./entity-template.ts";
import { normalHost } from "./host.ts";
import type { PathRules } from "./path.ts";
import { parsePathTemplate, type TemplateSegment } from "./path-template.ts";
import { parseValueTemplate } from "./value-template.ts";

// The form of the mapping file. What it means is described in docs/check-mapping.md.

/** One rule as it is written, defaults filled in. */
export interface RuleEntry {
  readonly name?: string | undefined;
  readonly destinations?: readonly string[] | undefined;
  readonly hosts?: readonly string[] | undefined;
  readonly path?: readonly TemplateSegment[] | undefined;
  readonly methods?: readonly string[] | undefined;
  readonly grpc?: string | undefined;
  readonly public: boolean;
  readonly action?: EntityTemplate | undefined;
  readonly resource?: EntityTemplate | undefined;
  readonly context: Readonly<Record<string, ContextTemplate>>;
}

/** A mapping file as it is written, defaults filled in. */
export interface MappingEntry {
  readonly realm: string;
  readonly credentials: {
    readonly bearer: boolean;
    readonly issuers?: readonly string[] | undefined;
    readonly apiKeyHeader: string | null;
    readonly sessionCookie?: string | null | undefined;
    readonly peer?:
      | {
          readonly from: "certificate" | "forwarded";
          readonly trustDomains: readonly string[];
          readonly gateways?: readonly string[] | undefined;
        }
      | undefined;
  };
  readonly paths: PathRules;
  readonly strip: { readonly credential: boolean; readonly headers: readonly string[] };
  readonly rules: readonly RuleEntry[];
}

const headerName = v.pipe(
  v.string("must be text"),
  v.regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/, "must be the name of a header"),
  v.toLowerCase(),
);

/** A text that `parse` reads; what it throws is the problem. */
function parsed<T>(parse: (text: string) => T): v.GenericSchema<string, T> {
  return v.pipe(
    v.string("must be text"),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      try {
        return parse(dataset.value);
      } catch (error) {
        addIssue({ message: (error as Error).message });
        return NEVER;
      }
    }),
  );
}

function list<T>(item: v.GenericSchema<string, T>): v.GenericSchema<string[], T[]> {
  return v.pipe(v.array(item, "must be a list"), v.minLength(1, "must not be empty"), v.maxLength(1_000));
}

const host = v.pipe(
  v.string("must be text"),
  v.toLowerCase(),
  v.check(
    (text) => normalHost(text.replace(/^\*\./, "")) === text.replace(/^\*\./, ""),
    "must be a host without a port, or *. and a host",
  ),
);

const method = v.pipe(v.string("must be text"), v.regex(/^[A-Z]{1,32}$/, "must be a method in upper case"));
const spiffeId = v.pipe(v.string("must be text"), v.regex(/^spiffe:\/\/[^\s/]+\/\S+$/, "must be a SPIFFE id"));
const grpcMethod = v.pipe(
  v.string("must be text"),
  v.regex(/^[A-Za-z_][\w.]*\/(?:\w+|\*)$/, "must be package.Service/Method, or package.Service/*"),
);

const contextValue = v.union(
  [
    v.pipe(
      parsed(parseValueTemplate),
      v.transform((from) => ({ from, as: "any" as const, required: false })),
    ),
    v.pipe(
      v.union([v.boolean(), v.pipe(v.number(), v.safeInteger())]),
      v.transform((value) => ({ value: value as Json })),
    ),
    fields({
      from: parsed(parseValueTemplate),
      as: v.optional(v.picklist(["any", "string", "long", "boolean", "ip", "decimal", "set"]), "any"),
      required: v.optional(v.boolean("must be true or false"), false),
    }),
  ],
  "must be text with values in braces, a whole number, true, false, or { from, as, required }",
);

const contextName = v.pipe(v.string(), v.regex(/^[A-Za-z_]\w{0,127}$/, "must be the name of an attribute"));

const rule = fields({
  name: v.optional(
    v.pipe(v.string("must be text"), v.regex(/^[\w.-]{1,128}$/, "must be a name of letters, digits, . _ -")),
  ),
  destinations: v.optional(list(spiffeId)),
  hosts: v.optional(list(host)),
  path: v.optional(parsed(parsePathTemplate)),
  methods: v.optional(list(method)),
  grpc: v.optional(grpcMethod),
  public: v.optional(v.boolean("must be true or false"), false),
  action: v.optional(parsed(parseEntityTemplate)),
  resource: v.optional(parsed(parseEntityTemplate)),
  context: v.optional(v.record(contextName, contextValue), {}),
});

const peer = fields({
  from: v.optional(v.picklist(["certificate", "forwarded"], "must be certificate or forwarded"), "certificate"),
  trustDomains: list(v.pipe(v.string("must be text"), v.regex(/^[a-z0-9._-]{1,255}$/, "must be a trust domain"))),
  gateways: v.optional(list(spiffeId)),
});

const credentials = fields({
  bearer: v.optional(v.boolean("must be true or false"), true),
  issuers: v.optional(list(v.pipe(v.string("must be text"), v.minLength(1, "must be an issuer")))),
  apiKeyHeader: v.optional(v.nullable(headerName), "x-api-key"),
  sessionCookie: v.optional(v.nullable(v.pipe(v.string("must be text"), v.regex(/^[\w.-]{1,128}$/, "must be a name")))),
  peer: v.optional(peer),
});

const rejectOr = <const T extends string>(other: T) =>
  v.optional(v.picklist(["reject", other], `must be reject or ${other}`), "reject");

const paths = fields({
  encodedSlashes: rejectOr("keep"),
  doubleSlashes: rejectOr("merge"),
  semicolons: rejectOr("keep"),
  trailingSlash: v.optional(v.picklist(["strict", "ignore"], "must be strict or ignore"), "strict"),
  ignoreCase: v.optional(v.boolean("must be true or false"), false),
});

/** Headers by which some frameworks take another method or path than the request's own. */
const overrides: readonly string[] = [
  "x-http-method-override",
  "x-http-method",
  "x-method-override",
  "x-original-url",
  "x-rewrite-url",
];

const strip = fields({
  credential: v.optional(v.boolean("must be true or false"), false),
  headers: v.optional(v.pipe(v.array(headerName, "must be a list"), v.maxLength(100)), () => [...overrides]),
});

/** Checks the form of a mapping file, and fills in what is left out. */
export const mappingSchema: v.GenericSchema<unknown, MappingEntry> = fields({
  version: v.literal(1, "must be 1"),
  realm: v.optional(v.pipe(v.string(), v.regex(/^[\w .:/-]{1,128}$/, "must be a plain text")), "gatehouse"),
  credentials: v.optional(credentials, {}),
  paths: v.optional(paths, {}),
  strip: v.optional(strip, {}),
  rules: v.pipe(v.array(rule, "must be a list"), v.maxLength(10_000, "has more than 10,000 rules")),
});
