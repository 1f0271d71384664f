import * as v from "valibot";
import type { ConfigFields } from "../shared/config/config.ts";
import { duration, integer, text } from "../shared/config/parsers.ts";
import { AddressRangeError, parseTrustedProxies, type TrustedProxies } from "./domain/client-network.ts";
import type { LockoutKind, LockoutRule } from "./domain/lockout.ts";

/** Settings of how sign-ins are protected. Names that end in `Ms` are in milliseconds. */
export interface SignInSettings {
  readonly trustedProxies: TrustedProxies;
  readonly lockoutFailures: number;
  readonly lockoutNetworkFailures: number;
  readonly lockoutFirstDelayMs: number;
  readonly lockoutMaxDelayMs: number;
  readonly lockoutSecondFactorMaxDelayMs: number;
  readonly secondFactorIssuer: string;
  readonly secondFactorSignInAgeMs: number;
}

const proxyList: v.GenericSchema<string, TrustedProxies> = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    try {
      return parseTrustedProxies(dataset.value);
    } catch (error) {
      if (!(error instanceof AddressRangeError)) throw error;
      addIssue({ message: "must be a list of addresses and ranges such as 127.0.0.6,10.0.0.0/8" });
      return NEVER;
    }
  }),
);

/** Where each comes from. */
export const signInFields: ConfigFields<SignInSettings> = {
  trustedProxies: {
    env: "TRUSTED_PROXIES",
    doc: "Addresses and CIDR ranges of proxies, separated by commas, whose `x-forwarded-for` tells the client's address, and whose `x-forwarded-client-cert` the workload; `127.0.0.6` is the peer of a pod with an Istio sidecar. Unset: the peer is the client.",
    schema: proxyList,
    fallback: "",
  },
  lockoutFailures: {
    env: "LOCKOUT_FAILURES",
    doc: "Failed sign-ins of a name that begin the first delay; the same number of wrong second factors does.",
    schema: integer(1, 1_000),
    fallback: "5",
  },
  lockoutNetworkFailures: {
    env: "LOCKOUT_NETWORK_FAILURES",
    doc: "The same of a client address (IPv6: of its /64), whatever names it tries.",
    schema: integer(1, 1_000_000),
    fallback: "50",
  },
  lockoutFirstDelayMs: {
    env: "LOCKOUT_FIRST_DELAY",
    doc: "First delay. Each further failure doubles it.",
    schema: duration(100, 3_600_000),
    fallback: "1s",
  },
  lockoutMaxDelayMs: {
    env: "LOCKOUT_MAX_DELAY",
    doc: "Longest delay, and the time without a failure that forgives one.",
    schema: duration(1_000, 86_400_000),
    fallback: "15m",
  },
  lockoutSecondFactorMaxDelayMs: {
    env: "LOCKOUT_SECOND_FACTOR_MAX_DELAY",
    doc: "The same for wrong second factors, which only somebody with the right password can present.",
    schema: duration(1_000, 86_400_000),
    fallback: "1h",
  },
  secondFactorIssuer: {
    env: "SECOND_FACTOR_ISSUER",
    doc: "Name that authenticator apps show beside the user's.",
    schema: text,
    fallback: "Gatehouse",
  },
  secondFactorSignInAgeMs: {
    env: "SECOND_FACTOR_SIGN_IN_AGE",
    doc: "How long ago the sign-in of a session may be that changes second factors.",
    schema: duration(1_000, 86_400_000),
    fallback: "10m",
  },
};

/** The rules of lockout that these settings make. */
export function lockoutRules(settings: SignInSettings): Readonly<Record<LockoutKind, LockoutRule>> {
  const { lockoutFailures: failures, lockoutFirstDelayMs, lockoutMaxDelayMs, lockoutSecondFactorMaxDelayMs } = settings;
  const rule = (count: number, maxDelayMs: number): LockoutRule => ({
    failures: count,
    firstDelayMs: Math.min(lockoutFirstDelayMs, maxDelayMs),
    maxDelayMs,
  });
  return {
    password: rule(failures, lockoutMaxDelayMs),
    "second-factor": rule(failures, lockoutSecondFactorMaxDelayMs),
    network: rule(settings.lockoutNetworkFailures, lockoutMaxDelayMs),
  };
}
