/** What other issuers say of a principal reaches policies: by Authorize, by Check where the mapping allows it, and by exchange. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Authorization } from "../gen/envoy/service/auth/v3/external_auth_pb.ts";
import { AuthService } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { IdentityService } from "../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { type Deployment, startDeployment } from "./support/deployment.ts";
import { startIssuer, type TestIssuer } from "./support/issuer.ts";

const policies = `
@id("role") permit (principal in Role::"corp-docs", action == Action::"read", resource == Page::"1");
@id("attribute") permit (principal is User, action == Action::"read", resource == Page::"2") when { principal.tenant == 7 };
@id("pod") permit (principal, action == Action::"read", resource == Page::"3") when { principal has pod && principal.pod.name == "web-1" };
@id("peer") permit (principal == Workload::"spiffe://cluster.local/ns/shop/sa/web", action == Action::"read", resource == Page::"4");
`;
const mapping = (issuers: readonly string[]): string => `
version: 1
credentials: ${JSON.stringify(issuers.length === 0 ? {} : { issuers })}
rules: [{ path: "/pages/{id}", methods: [GET], action: 'Action::"read"', resource: 'Page::"{id}"' }]
`;

const directory = mkdtempSync(join(tmpdir(), "gatehouse-external-"));
let people: TestIssuer;
let cluster: TestIssuer;
let deployment: Deployment;
let auth: Client<typeof AuthService>;
let envoy: Client<typeof Authorization>;

before(async () => {
  [people, cluster] = [await startIssuer(), await startIssuer()];
  await people.addKey("p1");
  await cluster.addKey("c1");
  writeFileSync(join(directory, "policies.cedar"), policies);
  writeFileSync(join(directory, "mapping.yaml"), mapping([people.url]));
  writeFileSync(
    join(directory, "issuers.yaml"),
    JSON.stringify({
      version: 1,
      issuers: [
        {
          issuer: people.url,
          audience: "gatehouse",
          principal: {
            type: "User",
            id: { claim: "sub", prefix: "corp:" },
            roles: { claim: "groups", prefix: "corp-", names: { ops: "gatehouse-viewer" } },
            attributes: { tenant: "tenant" },
          },
        },
        { issuer: cluster.url, audience: "gatehouse", kubernetes: { trustDomain: "cluster.local" } },
      ],
    }),
  );
  deployment = await startDeployment({
    POLICY_DIR: directory,
    AUTH_CHECK_MAPPING: join(directory, "mapping.yaml"),
    AUTH_ISSUERS: join(directory, "issuers.yaml"),
    PEER_TRUST_DOMAINS: "cluster.local",
    TRUSTED_PROXIES: "127.0.0.1",
    POLICY_TIMEOUT: "2s",
  });
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${deployment.ports.auth}` });
  auth = createClient(AuthService, transport);
  envoy = createClient(Authorization, transport);
});
after(async () => {
  await deployment.close();
  await Promise.all([people.goDown(), cluster.goDown()]);
  rmSync(directory, { recursive: true });
});

type AuthorizeCredential = Parameters<typeof auth.authorize>[0]["credential"];

/** The pages that a credential may read. */
async function pagesOf(credential: AuthorizeCredential, headers: Record<string, string> = {}): Promise<string> {
  const allowed: string[] = [];
  for (const id of ["1", "2", "3", "4"]) {
    const request = { action: { type: "Action", id: "read" }, resource: { type: "Page", id } };
    const answer = await auth.authorize({ credential, ...request } as Parameters<typeof auth.authorize>[0], {
      headers,
    });
    if (answer.allowed) allowed.push(id);
  }
  return allowed.join();
}

const workload = (pod: string) => ({
  sub: "system:serviceaccount:shop:web",
  "kubernetes.io": { namespace: "shop", serviceaccount: { name: "web" }, pod: { name: pod } },
});

test("Authorize goes by the roles and attributes that the issuer tells", async () => {
  const pages = async (claims: object): Promise<string> =>
    await pagesOf({ case: "externalToken", value: await people.sign({ ...claims }) });
  assert.equal(await pages({}), "");
  assert.equal(await pages({ groups: ["docs"] }), "1");
  assert.equal(await pages({ tenant: 7 }), "2");
  assert.equal(await pages({ groups: ["docs"], tenant: 7 }), "1,2");
  assert.equal(await pages({ groups: ["corp-docs"], tenant: "7" }), "");
});

test("a workload is the same by its token and by its certificate, and has more to say by its token", async () => {
  const pages = async (pod: string): Promise<string> =>
    await pagesOf({ case: "externalToken", value: await cluster.sign(workload(pod)) });
  assert.equal(await pages("web-1"), "3,4");
  assert.equal(await pages("web-2"), "4");
  const forwarded = { "x-forwarded-client-cert": "By=x;URI=spiffe://cluster.local/ns/shop/sa/web" };
  assert.equal(await pagesOf({ case: "peer", value: {} } as AuthorizeCredential, forwarded), "4");
});

test("an exchanged token says the same to policies", async () => {
  const external = await people.sign({ groups: ["docs"], tenant: 7 });
  const { tokens } = await auth.authenticate({
    credential: { case: "externalToken", value: external },
    issueTokens: true,
  });
  assert.equal(await pagesOf({ case: "bearerToken", value: tokens?.accessToken ?? "" }), "1,2");
});

test("Check takes tokens of the issuers that the mapping names, and of no other", async () => {
  async function status(path: string, token: string): Promise<number> {
    const headers = { authorization: `Bearer ${token}` };
    const { httpResponse } = await envoy.check({
      attributes: { request: { http: { method: "GET", path, host: "pages.example.com", headers } } },
    });
    return httpResponse.case === "deniedResponse" ? (httpResponse.value.status?.code ?? 0) : 200;
  }
  const token = await people.sign({ groups: ["docs"] });
  assert.equal(await status("/pages/1", token), 200);
  assert.equal(await status("/pages/2", token), 403);
  assert.equal(await status("/pages/1", await people.sign({ groups: ["docs"], aud: "elsewhere" })), 401);
  assert.equal(await status("/pages/4", await cluster.sign(workload("web-1"))), 401, "the mapping does not name it");
  const password = { username: "alice", password: "wonderland" };
  const { sessionToken } = await auth.authenticate({ credential: { case: "password", value: password } });
  assert.equal(await status("/pages/1", sessionToken), 403, "those of this service are taken as ever");
  await people.goDown();
  assert.equal(await status("/pages/1", await people.sign({ groups: ["docs"] })), 200, "the keys are known");
  const next = await people.addKey("p2");
  assert.equal(await status("/pages/1", await people.sign({ groups: ["docs"] }, { key: next })), 503);
  await people.comeBack();
});

test("an exchanged token administers as far as its mapped roles go, and an external token not at all", async () => {
  const admin = createClient(
    IdentityService,
    createGrpcTransport({ baseUrl: `http://127.0.0.1:${deployment.ports.auth}` }),
  );
  const as = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
  const exchanged = async (groups: readonly string[]): Promise<string> => {
    const value = await people.sign({ groups });
    const answer = await auth.authenticate({ credential: { case: "externalToken", value }, issueTokens: true });
    return answer.tokens?.accessToken ?? "";
  };
  const ops = await exchanged(["ops"]);
  assert.ok((await admin.listUsers({}, as(ops))).users.length > 0);
  await assert.rejects(admin.createUser({ name: "mallory" }, as(ops)), { code: 7 });
  await assert.rejects(admin.listUsers({}, as(await exchanged(["gatehouse-viewer", "gatehouse-admin"]))), { code: 7 });
  await assert.rejects(admin.listUsers({}, as(await people.sign({ groups: ["ops"] }))), { code: 16 });
});
