import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTrustedProxies } from "../client-network.ts";
import type { Attempt } from "./credential.ts";
import { createPeerVerifier } from "./peer.ts";

const web = "spiffe://cluster.local/ns/shop/sa/web";
const gateway = "spiffe://cluster.local/ns/istio-system/sa/gateway";
const verify = createPeerVerifier({
  trustDomains: ["cluster.local"],
  gateways: [gateway],
  isTrustedProxy: parseTrustedProxies("127.0.0.6,10.1.0.0/16"),
});

async function peerOf(attempt: Attempt): Promise<string> {
  try {
    const { principal, amr } = await verify({ kind: "peer" }, attempt);
    assert.deepEqual([principal.roles, principal.attributes, amr], [[], {}, []]);
    return `${principal.type} ${principal.id}`;
  } catch (error) {
    return (error as { reason: string }).reason;
  }
}

const stranger = "203.0.113.7";
for (const [name, attempt, expected] of [
  ["a certificate", { peerAddress: stranger, peerPrincipal: web }, `Workload ${web}`],
  ["a trusted proxy's word", { peerAddress: "127.0.0.6", forwardedClientCert: `URI=${web}` }, `Workload ${web}`],
  ["the word of a proxy in a range", { peerAddress: "10.1.2.3", forwardedClientCert: `URI=${web}` }, `Workload ${web}`],
  ["the word of anybody", { peerAddress: stranger, forwardedClientCert: `URI=${web}` }, "CREDENTIAL_NOT_VALID"],
  ["the word of a neighbour", { peerAddress: "10.2.0.1", forwardedClientCert: `URI=${web}` }, "CREDENTIAL_NOT_VALID"],
  [
    "a certificate, whatever the header says",
    { peerAddress: "127.0.0.6", peerPrincipal: web, forwardedClientCert: "URI=spiffe://cluster.local/ns/x/sa/admin" },
    `Workload ${web}`,
  ],
  [
    "a gateway's certificate, and the gateway's word",
    { peerAddress: "10.1.0.9", peerPrincipal: gateway, forwardedClientCert: `URI=${web}` },
    `Workload ${web}`,
  ],
  [
    "a gateway's certificate, from an address that is not trusted",
    { peerAddress: stranger, peerPrincipal: gateway, forwardedClientCert: `URI=${web}` },
    "CREDENTIAL_NOT_VALID",
  ],
  ["nothing", { peerAddress: "127.0.0.6" }, "CREDENTIAL_NOT_VALID"],
  ["a gateway's certificate", { peerAddress: stranger, peerPrincipal: gateway }, "CREDENTIAL_NOT_VALID"],
  [
    "a gateway behind a proxy",
    { peerAddress: "127.0.0.6", forwardedClientCert: `URI=${gateway}` },
    "CREDENTIAL_NOT_VALID",
  ],
  [
    "a certificate of another trust domain",
    { peerAddress: stranger, peerPrincipal: "spiffe://elsewhere/ns/shop/sa/web" },
    "CREDENTIAL_NOT_VALID",
  ],
  ["a certificate without a SPIFFE id", { peerAddress: stranger, peerPrincipal: "" }, "CREDENTIAL_NOT_VALID"],
] as const) {
  test(`a peer with ${name}`, async () => {
    assert.equal(await peerOf(attempt), expected);
  });
}
