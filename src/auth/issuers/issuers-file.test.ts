import assert from "node:assert/strict";
import { test } from "node:test";
import { IssuersError, parseIssuers } from "./issuers-file.ts";

function problemsOf(text: string): readonly string[] {
  try {
    parseIssuers(text, "issuers.yaml");
    return [];
  } catch (error) {
    assert.ok(error instanceof IssuersError);
    return error.problems;
  }
}

const entry = (more: string): string => `version: 1
issuers:
  - issuer: https://login.example.com
    principal: { type: User, id: { claim: sub, prefix: "corp:" } }
${more.replaceAll(/^/gm, "    ")}
`;

test("an issuer has defaults that refuse rather than accept", () => {
  const [issuer] = parseIssuers(entry("audience: gatehouse"), "issuers.yaml");
  assert.deepEqual(issuer, {
    issuer: "https://login.example.com",
    audience: ["gatehouse"],
    algorithms: ["RS256"],
    maxTokenAge: 86_400_000,
    clockSkew: 5_000,
    keys: { refresh: 600_000, maxAge: 86_400_000, cooldown: 30_000, timeout: 3_000 },
    principal: { type: "User", id: { claim: ["sub"], prefix: "corp:" } },
  });
});

test("everything that is wrong is told at once, with its line", () => {
  const text = `version: 2
issuers:
  - issuer: https://login.example.com
    audience: ""
    algorithms: [HS256, none]
    clockSkew: 1h
    principal: { type: Group, id: { claim: sub } }
    trust: true
  - issuer: https://other.example.com
    jwksUri: http://other.example.com/keys
    kubernetes: { trustDomain: "Cluster Local" }
`;
  const asymmetric =
    "must be one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519: an asymmetric signature";
  assert.deepEqual(problemsOf(text), [
    "line 1: version must be 1",
    "line 4: issuers[0].audience must be a text that is not empty, or a list of such",
    `line 5: issuers[0].algorithms[0] ${asymmetric}`,
    `line 5: issuers[0].algorithms[1] ${asymmetric}`,
    "line 6: issuers[0].clockSkew must be from 0s to 60s",
    "line 7: issuers[0].principal.type must be User, Workload or Client",
    "line 7: issuers[0].principal.id.prefix is required",
    "line 8: issuers[0].trust is not known here",
    "line 9: issuers[1].audience is required",
    "line 10: issuers[1].jwksUri must be an https URL; http on loopback only",
    "line 11: issuers[1].kubernetes.trustDomain must be a trust domain",
  ]);
});

for (const audience of [
  "",
  "audience:",
  'audience: ""',
  "audience: []",
  'audience: [""]',
  "audience: null",
  "audience: 7",
]) {
  test(`an issuer cannot be without an audience: ${audience || "unset"}`, () => {
    const [problem = "", ...others] = problemsOf(entry(audience));
    assert.match(problem, /^line \d+: issuers\[0\]\.audience/);
    assert.deepEqual(others, []);
  });
}

for (const [name, text, expected] of [
  [
    "a plain http issuer",
    "issuers: [{ issuer: http://login.example.com, audience: a, principal: P }]",
    /must be an https URL/,
  ],
  [
    "a name that is no URL",
    "issuers: [{ issuer: kubernetes/serviceaccount, audience: a, principal: P }]",
    /or have a jwksUri/,
  ],
  [
    "a password in a URL",
    "issuers: [{ issuer: a, jwksUri: 'https://u:p@x.example/k', audience: a, principal: P }]",
    /jwksUri/,
  ],
  [
    "neither principal nor kubernetes",
    "issuers: [{ issuer: https://a.example, audience: a }]",
    /either principal or kubernetes/,
  ],
  [
    "both",
    "issuers: [{ issuer: https://a.example, audience: a, principal: P, kubernetes: { trustDomain: t } }]",
    /either principal or kubernetes/,
  ],
  [
    "the same issuer twice",
    "issuers: [{ issuer: https://a.example, audience: a, principal: P }, { issuer: https://a.example, audience: a, kubernetes: { trustDomain: t } }]",
    /there before/,
  ],
  [
    "principals that two issuers share",
    "issuers: [{ issuer: https://a.example, audience: a, principal: P }, { issuer: https://b.example, audience: a, principal: Q }]",
    /the same principals/,
  ],
  [
    "keys that go before they are renewed",
    "issuers: [{ issuer: https://a.example, audience: a, principal: P, keys: { refresh: 1h, maxAge: 10m } }]",
    /keys\.maxAge/,
  ],
  [
    "a token shown without TLS",
    "issuers: [{ issuer: http://127.0.0.1:1, audience: a, principal: P, tokenFile: /t }]",
    /not asked by https/,
  ],
  ["text that is no YAML", "issuers: [", /^line \d+: Flow sequence/],
] as const) {
  test(`an issuers file with ${name} is refused`, () => {
    const principals = text
      .replaceAll("principal: P", "principal: { type: User, id: { claim: sub, prefix: 'a:' } }")
      .replaceAll("principal: Q", "principal: { type: User, id: { claim: sub, prefix: 'a:b:' } }");
    const problems = problemsOf(`version: 1\n${principals}\n`);
    assert.match(problems.join("\n"), expected);
  });
}
