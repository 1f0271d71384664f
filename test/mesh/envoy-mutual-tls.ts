/** Workloads that are known by their certificates: callers, and those that are called. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type CertificateFiles, createWorkloadAuthority, type WorkloadAuthority } from "./certificates.ts";
import { type Mesh, startMesh } from "./mesh.ts";
import { signIn } from "./sign-in.ts";
import type { Seen } from "./workload.ts";

const id = (name: string): string => `spiffe://cluster.local/ns/shop/sa/${name}`;

const policies = `
@id("billing-reads") permit (principal == Workload::"${id("billing")}", action == Action::"read", resource);
@id("people-read") permit (principal is User, action == Action::"read", resource);
`;

// The second rule is what a caller would like: open, and for a host that anybody can name.
const mapping = `
version: 1
credentials:
  peer: { trustDomains: [cluster.local], gateways: ["${id("gateway")}"] }
rules:
  - { destinations: ["${id("orders")}"], path: "/orders/{id}", methods: [GET], action: 'Action::"read"', resource: 'Order::"{id}"' }
  - { hosts: [www.example.com], path: /**, public: true }
`;

const directory = mkdtempSync(join(tmpdir(), "gatehouse-mutual-tls-"));
let authority: WorkloadAuthority;
let mesh: Mesh;

before(async () => {
  authority = createWorkloadAuthority(directory);
  writeFileSync(join(directory, "policies.cedar"), policies);
  writeFileSync(join(directory, "mapping.yaml"), mapping);
  mesh = await startMesh({
    count: 1,
    env: { POLICY_DIR: directory, AUTH_CHECK_MAPPING: join(directory, "mapping.yaml") },
    mutualTls: { ...authority.issue("orders", id("orders")), authority: authority.cert },
  });
});
after(async () => {
  await mesh?.close();
  rmSync(directory, { recursive: true, force: true });
});

interface TlsAnswer {
  readonly status: number;
  readonly seen: Seen | undefined;
}

function ask(
  path: string,
  caller: CertificateFiles | undefined,
  headers: Record<string, string> = {},
): Promise<TlsAnswer> {
  const files = caller === undefined ? {} : { cert: readFileSync(caller.cert), key: readFileSync(caller.key) };
  return new Promise((resolve, reject) => {
    const options = {
      host: "127.0.0.1",
      port: mesh.ports.mutualTls,
      path,
      headers,
      ca: readFileSync(authority.cert),
      // The certificate names a workload and no host; that it is of the authority is checked.
      checkServerIdentity: () => undefined,
      ...files,
    };
    const outgoing = request(options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => {
        const status = response.statusCode ?? 0;
        resolve({ status, seen: status === 200 ? JSON.parse(text) : undefined });
      });
    });
    outgoing.on("error", reject).end();
  });
}

test("a workload is known by its certificate, and policies tell workloads apart", async () => {
  const billing = authority.issue("billing", id("billing"));
  const { status, seen } = await ask("/orders/17", billing);
  assert.equal(status, 200);
  assert.equal(seen?.headers["x-gatehouse-principal"], `Workload::"${id("billing")}"`);
  assert.equal((await ask("/orders/17", authority.issue("mail", id("mail")))).status, 403);
});

test("a workload of another trust domain, or a gateway without a user, is nobody", async () => {
  const stranger = authority.issue("stranger", "spiffe://elsewhere/ns/shop/sa/billing");
  const gateway = authority.issue("gateway", id("gateway"));
  assert.equal((await ask("/orders/17", stranger)).status, 401);
  assert.equal((await ask("/orders/17", gateway)).status, 401);
  const authorization = `Bearer ${await signIn(mesh.replicas.auth[0], "bob")}`;
  const forUser = await ask("/orders/17", gateway, { authorization });
  assert.equal(forUser.seen?.headers["x-gatehouse-principal"], 'User::"bob"');
});

test("a header that claims a certificate is not believed", async () => {
  const mail = authority.issue("mail", id("mail"));
  const header = { "x-forwarded-client-cert": `By=x;Hash=00;URI=${id("billing")}` };
  assert.equal((await ask("/orders/17", mail, header)).status, 403);
});

test("the rules of the workload that is called count, whatever host the caller names", async () => {
  const mail = authority.issue("mail", id("mail"));
  assert.equal((await ask("/admin", mail, { host: "www.example.com" })).status, 403);
  assert.equal((await ask("/orders/17", mail, { host: "www.example.com" })).status, 403);
});

test("without a certificate there is no connection", async () => {
  await assert.rejects(ask("/orders/17", undefined));
});
