import * as v from "valibot";
import type { ClaimPath } from "../domain/external/claim-mapping.ts";
import { type ExternalAlgorithm, externalAlgorithms } from "../domain/external/verification-keys.ts";
import { fields } from "../strict-fields.ts";
import { longestAccessTokenMs } from "../token-settings.ts";
import { isFetchableUrl } from "./fetchable-url.ts";

// The form of the issuers file. What it means is described in docs/external-identities.md.

/** How claims make a principal, as it is written, defaults filled in. */
export interface PrincipalEntry {
  readonly type: "User" | "Workload" | "Client";
  readonly id: { readonly claim: ClaimPath; readonly prefix: string };
  readonly roles?:
    | {
        readonly claim: ClaimPath;
        readonly prefix: string;
        readonly names: Readonly<Record<string, string>>;
      }
    | undefined;
  readonly attributes?: Readonly<Record<string, ClaimPath>> | undefined;
  readonly amr?: ClaimPath | undefined;
}

/** One issuer as it is written, defaults filled in. Durations are in milliseconds. */
export interface IssuerEntry {
  readonly issuer: string;
  readonly audience: readonly string[];
  readonly jwksUri?: string | undefined;
  readonly algorithms: readonly ExternalAlgorithm[];
  readonly tokenType?: string | undefined;
  readonly maxTokenAge: number;
  readonly clockSkew: number;
  readonly caFile?: string | undefined;
  readonly tokenFile?: string | undefined;
  readonly keys: {
    readonly refresh: number;
    readonly maxAge: number;
    readonly cooldown: number;
    readonly timeout: number;
  };
  readonly principal?: PrincipalEntry | undefined;
  readonly kubernetes?: { readonly trustDomain: string; readonly attributes: boolean } | undefined;
}

export interface IssuersEntry {
  readonly issuers: readonly IssuerEntry[];
}

const plainText = (what: string, max = 1_024) =>
  v.pipe(
    v.string(`must be ${what}`),
    v.minLength(1, `must be ${what}, and not empty`),
    v.maxLength(max),
    v.regex(/^[^\p{Cc}]*$/u, "must not have control characters"),
  );

const fetchable = v.pipe(
  v.string("must be a URL"),
  v.check(isFetchableUrl, "must be an https URL; http on loopback only"),
);

const audience = v.pipe(
  v.union(
    [
      v.pipe(
        plainText("a text"),
        v.transform((text): readonly string[] => [text]),
      ),
      v.pipe(v.array(plainText("a text"), "must be a list"), v.minLength(1, "must not be empty"), v.maxLength(16)),
    ],
    "must be a text that is not empty, or a list of such",
  ),
);

const algorithms = v.pipe(
  v.array(
    v.picklist(externalAlgorithms, `must be one of ${externalAlgorithms.join(", ")}: an asymmetric signature`),
    "must be a list",
  ),
  v.minLength(1, "must not be empty"),
);

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function duration(minMs: number, maxMs: number, range: string) {
  return v.pipe(
    v.string("must be a duration such as 30s"),
    v.regex(/^\d{1,9}(ms|s|m|h|d)$/, "must be a duration such as 500ms, 30s, 10m, 12h or 7d"),
    v.transform((text) => Number(/^\d+/.exec(text)?.[0]) * (units[text.replace(/^\d+/, "")] ?? Number.NaN)),
    v.check((ms) => ms >= minMs && ms <= maxMs, `must be from ${range}`),
  );
}

const claim = v.union(
  [
    v.pipe(
      plainText("the name of a claim", 256),
      v.transform((name): ClaimPath => [name]),
    ),
    v.pipe(v.array(plainText("the name of a claim", 256)), v.minLength(1), v.maxLength(8)),
  ],
  "must be the name of a claim, or a list of names on the way to one",
);

const prefix = v.pipe(
  v.string("must be a text"),
  v.regex(/^[!-~]{0,64}$/, "must be at most 64 printable ASCII characters without space"),
);
const roleName = v.pipe(v.string("must be text"), v.regex(/^[^\p{Cc}]{1,128}$/u, "must be the name of a role"));
const attributeName = v.pipe(v.string(), v.regex(/^[A-Za-z_]\w{0,127}$/, "must be the name of an attribute"));

const principal = fields({
  type: v.picklist(["User", "Workload", "Client"], "must be User, Workload or Client"),
  id: fields({ claim, prefix }),
  roles: v.optional(
    fields({
      claim,
      prefix: v.optional(prefix, ""),
      names: v.optional(v.record(v.string(), roleName, "must be roles by values of the claim"), {}),
    }),
  ),
  attributes: v.optional(v.record(attributeName, claim, "must be claims by attributes")),
  amr: v.optional(claim),
});

const kubernetes = fields({
  trustDomain: v.pipe(v.string("must be text"), v.regex(/^[a-z0-9._-]{1,255}$/, "must be a trust domain")),
  attributes: v.optional(v.boolean("must be true or false"), true),
});

const keys = fields({
  refresh: v.optional(duration(1_000, 86_400_000, "1s to 1d"), "10m"),
  maxAge: v.optional(duration(1_000, 7 * 86_400_000, "1s to 7d"), "1d"),
  cooldown: v.optional(duration(1_000, 3_600_000, "1s to 1h"), "30s"),
  timeout: v.optional(duration(100, 30_000, "100ms to 30s"), "3s"),
});

const issuer = fields({
  issuer: plainText("a text, as it stands in `iss`"),
  audience,
  jwksUri: v.optional(fetchable),
  algorithms: v.optional(algorithms, ["RS256"]),
  tokenType: v.optional(plainText("a media type", 128)),
  maxTokenAge: v.optional(duration(60_000, longestAccessTokenMs, "1m to 1d"), "1d"),
  clockSkew: v.optional(duration(0, 60_000, "0s to 60s"), "5s"),
  caFile: v.optional(plainText("a path")),
  tokenFile: v.optional(plainText("a path")),
  keys: v.optional(keys, {}),
  principal: v.optional(principal),
  kubernetes: v.optional(kubernetes),
});

/** Checks the form of an issuers file, and fills in what is left out. */
export const issuersSchema: v.GenericSchema<unknown, IssuersEntry> = fields({
  version: v.literal(1, "must be 1"),
  issuers: v.pipe(v.array(issuer, "must be a list"), v.maxLength(100, "has more than 100 issuers")),
});
