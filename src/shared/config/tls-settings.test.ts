import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConfigError, readConfig } from "./config.ts";
import { checkPeerTlsSettings, checkTlsSettings, peerTlsFields, tlsFields } from "./tls-settings.ts";

type Env = Readonly<Record<string, string>>;

function check(env: Env): void {
  const settings = readConfig({ ...tlsFields, ...peerTlsFields("POLICY", "policy-service") }, env);
  checkTlsSettings(settings);
  checkPeerTlsSettings(settings, "POLICY");
}

const pair = { TLS_CERT_FILE: "tls.crt", TLS_KEY_FILE: "tls.key" };
const mutual = { ...pair, TLS_CLIENT_CA_FILE: "ca.crt" };
const peer = { POLICY_TLS_CA_FILE: "ca.crt", POLICY_TLS_CERT_FILE: "tls.crt", POLICY_TLS_KEY_FILE: "tls.key" };

describe("the settings of TLS", () => {
  it("go together", () => {
    for (const env of [
      {},
      pair,
      mutual,
      { ...mutual, TLS_CLIENT_REQUIRED: "false" },
      { ...mutual, TLS_SPIFFE_ALLOW: "spiffe://shop.example/a, spiffe://shop.example/b/" },
      { ...mutual, TLS_SPIFFE_ALLOW: "spiffe://shop.example/a", TLS_CLIENT_REQUIRED: "grpc" },
      { POLICY_TLS_CA_FILE: "ca.crt" },
      { ...peer, POLICY_TLS_SPIFFE_ID: "spiffe://shop.example/policy" },
    ]) {
      check(env);
    }
  });

  const wrong: readonly [Env, string][] = [
    [{ TLS_CERT_FILE: "a" }, "TLS_KEY_FILE is required with TLS_CERT_FILE"],
    [{ TLS_KEY_FILE: "a" }, "TLS_CERT_FILE is required with TLS_KEY_FILE"],
    [{ TLS_CLIENT_CA_FILE: "a" }, "TLS_CERT_FILE and TLS_KEY_FILE are required with TLS_CLIENT_CA_FILE"],
    [{ ...pair, TLS_SPIFFE_ALLOW: "spiffe://a" }, "TLS_CLIENT_CA_FILE is required with TLS_SPIFFE_ALLOW"],
    [{ ...mutual, TLS_SPIFFE_ALLOW: "shop" }, "TLS_SPIFFE_ALLOW must be SPIFFE ids"],
    [{ ...mutual, TLS_SPIFFE_ALLOW: "spiffe://" }, "TLS_SPIFFE_ALLOW must be SPIFFE ids"],
    [{ ...mutual, TLS_SPIFFE_ALLOW: "spiffe://a/*" }, "TLS_SPIFFE_ALLOW must be SPIFFE ids"],
    [
      { ...mutual, TLS_SPIFFE_ALLOW: "spiffe://a", TLS_CLIENT_REQUIRED: "false" },
      "TLS_CLIENT_REQUIRED must not be false with TLS_SPIFFE_ALLOW",
    ],
    [{ ...mutual, TLS_CLIENT_REQUIRED: "yes" }, "TLS_CLIENT_REQUIRED must be one of"],
    [{ ...peer, POLICY_TLS_KEY_FILE: "" }, "POLICY_TLS_CERT_FILE and POLICY_TLS_KEY_FILE are required together"],
    [{ ...peer, POLICY_TLS_CA_FILE: "" }, "POLICY_TLS_CA_FILE is required with the other POLICY_TLS_ variables"],
    [{ POLICY_TLS_SERVER_NAME: "a" }, "POLICY_TLS_CA_FILE is required with the other POLICY_TLS_ variables"],
    [{ ...peer, POLICY_TLS_SPIFFE_ID: "policy" }, "POLICY_TLS_SPIFFE_ID must be a SPIFFE id"],
  ];
  for (const [env, problem] of wrong) {
    it(`say when they do not: ${problem} (${JSON.stringify(env)})`, () => {
      assert.throws(
        () => check(env),
        (error) =>
          error instanceof ConfigError && error.problems.length === 1 && error.problems[0]!.startsWith(problem),
      );
    });
  }
});
