/** Envoy's Check and the step-up hints of Authorize, against both services as processes. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Authorization, type CheckResponse } from "../gen/envoy/service/auth/v3/external_auth_pb.ts";
import { AuthService } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { IdentityService } from "../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { type Deployment, startDeployment } from "./support/deployment.ts";
import { until } from "./support/until.ts";

const policies = `
@id("admins") permit (principal, action, resource == Gatehouse::Service::"auth") when { principal.roles.contains("gatehouse-admin") };
@id("anything") permit (principal == User::"bob", action, resource == Page::"3");
@id("read") permit (principal, action == Action::"read", resource == Page::"1") when { context.n == 2 };
@id("sealed") permit (principal == User::"alice", action == Action::"seal", resource) when { context.mfa };
@id("robots") permit (principal is Workload, action == Action::"read", resource == Page::"2");
`;
const mapping = (page: string): string => `
version: 1
credentials:
  sessionCookie: session
  peer: { trustDomains: [cluster.local] }
rules:
  - path: /${page}/{id}
    methods: [GET]
    action: Action::"read"
    resource: Page::"{id}"
    context: { n: { from: "{query:n}", as: long } }
  - { path: "/${page}/{id}", methods: [PUT], action: 'Action::"seal"', resource: 'Page::"{id}"' }
  - { path: /open, public: true }
`;

const directory = mkdtempSync(join(tmpdir(), "gatehouse-check-"));
const mappingPath = join(directory, "mapping.yaml");
writeFileSync(join(directory, "policies.cedar"), policies);
writeFileSync(mappingPath, mapping("pages"));

let deployment: Deployment;
let token: string;
let baseUrl: string;
let auth: Client<typeof AuthService>;
let envoy: Client<typeof Authorization>;

before(async () => {
  deployment = await startDeployment({
    POLICY_DIR: directory,
    AUTH_CHECK_MAPPING: mappingPath,
    AUTHORIZE_CONTEXT_MFA: "true",
    // What is answered is at stake, and not how soon on a busy machine.
    POLICY_TIMEOUT: "2s",
  });
  baseUrl = `http://127.0.0.1:${deployment.ports.auth}`;
  const transport = createGrpcTransport({ baseUrl });
  auth = createClient(AuthService, transport);
  envoy = createClient(Authorization, transport);
  const password = { username: "alice", password: "wonderland" };
  const signedIn = await auth.authenticate({
    credential: { case: "password", value: password },
  });
  token = signedIn.sessionToken;
});
after(async () => {
  await deployment.close();
  rmSync(directory, { recursive: true });
});

async function check(
  method: string,
  path: string,
  headers: Record<string, string> = {},
  principal = "",
): Promise<CheckResponse> {
  return await envoy.check({
    attributes: {
      source: { principal },
      request: { http: { method, path, host: "pages.example.com", headers } },
    },
  });
}

/** Status that the caller of the proxy gets; 200 when the request is let through. */
function statusOf({ status, httpResponse }: CheckResponse): number {
  if (httpResponse.case !== "deniedResponse") {
    assert.deepEqual([httpResponse.case, status?.code], ["okResponse", 0]);
    return 200;
  }
  assert.notEqual(status?.code, 0);
  return httpResponse.value.status?.code ?? 0;
}

test("a request is let through by a credential, a rule and a policy, and by nothing less", async () => {
  const bearer = { authorization: `Bearer ${token}` };
  const answers: [number, number, string][] = [
    [200, statusOf(await check("GET", "/pages/1?n=2", bearer)), "bearer"],
    [200, statusOf(await check("GET", "/pages/1?n=2", { cookie: `session=${token}` })), "cookie"],
    [200, statusOf(await check("GET", "/pages/2", {}, "spiffe://cluster.local/ns/a/sa/b")), "workload"],
    [200, statusOf(await check("GET", "/open")), "public"],
    [403, statusOf(await check("GET", "/pages/1", bearer)), "no context"],
    [400, statusOf(await check("GET", "/pages/1?n=two", bearer)), "malformed context"],
    [400, statusOf(await check("GET", "/pages/1?n=2&n=2", bearer)), "parameter twice"],
    [403, statusOf(await check("GET", "/pages/2?n=2", bearer)), "another resource"],
    [403, statusOf(await check("DELETE", "/pages/1", bearer)), "unmapped method"],
    [403, statusOf(await check("GET", "/admin", bearer)), "unmapped path"],
    [400, statusOf(await check("GET", "/pages/%2e%2e/admin", bearer)), "climbing"],
    [401, statusOf(await check("GET", "/pages/1?n=2")), "no credential"],
    [401, statusOf(await check("GET", "/pages/1?n=2", { authorization: "Bearer no" })), "wrong token"],
    [401, statusOf(await check("GET", "/pages/1?n=2", { "x-api-key": "key" })), "wrong key"],
    [401, statusOf(await check("GET", "/pages/2", {}, "spiffe://elsewhere/ns/a/sa/b")), "foreign workload"],
  ];
  for (const [expected, actual, what] of answers) assert.equal(actual, expected, what);
});

test("an empty question is refused", async () => {
  assert.equal(statusOf(await envoy.check({})), 400);
});

test("a denial that a second factor would lift says so, in Check and in Authorize", async () => {
  const { httpResponse } = await check("PUT", "/pages/1", { authorization: `Bearer ${token}` });
  assert.ok(httpResponse.case === "deniedResponse");
  assert.deepEqual(JSON.parse(httpResponse.value.body).stepUp, ["mfa"]);
  const authorize = async (id: string) =>
    await auth.authorize({
      credential: { case: "bearerToken", value: token },
      action: { type: "Action", id },
      resource: { type: "Page", id: "1" },
    });
  const sealed = await authorize("seal");
  assert.deepEqual([sealed.allowed, sealed.stepUp], [false, ["mfa"]]);
  assert.deepEqual((await authorize("burn")).stepUp, []);
});

test("an API key is let through within its scopes, and with a revoked one nobody is", async () => {
  const admin = createClient(IdentityService, createGrpcTransport({ baseUrl }));
  const password = { username: "admin", password: "gatehouse" };
  const { sessionToken } = await auth.authenticate({ credential: { case: "password", value: password } });
  const call = { headers: { authorization: `Bearer ${sessionToken}` } };
  const { key, apiKey } = await admin.createApiKey({ user: "bob", scopes: ["read"] }, call);
  const withKey = (method: string) => check(method, "/pages/3", { "x-api-key": key });
  const through = await withKey("GET");
  assert.equal(statusOf(through), 200);
  assert.ok(through.httpResponse.case === "okResponse");
  const set = through.httpResponse.value.headers.map(({ header }) => `${header?.key}: ${header?.value}`);
  assert.ok(set.includes('x-gatehouse-principal: User::"bob"'), set.join("\n"));
  assert.equal(statusOf(await withKey("PUT")), 403);
  await admin.revokeApiKey({ id: apiKey?.id ?? "" }, call);
  assert.equal(statusOf(await withKey("GET")), 401);
});

test("a changed mapping comes into force, and one with faults does not", async () => {
  const status = async (page: string): Promise<number> =>
    statusOf(await check("GET", `/${page}/1?n=2`, { authorization: `Bearer ${token}` }));
  writeFileSync(mappingPath, mapping("sheets"));
  await until("the new mapping is in force", async () => (await status("sheets")) === 200);
  assert.equal(await status("pages"), 403);
  writeFileSync(mappingPath, "version: 1\nrules: none\n");
  await until("the fault is reported", async () =>
    deployment.output.some((line) => line.includes("rules must be a list")),
  );
  assert.equal(await status("sheets"), 200);
  const metrics = await (await fetch(`http://127.0.0.1:${deployment.ports.authHttp}/metrics`)).text();
  assert.match(metrics, /^check_mapping_stale\{[^}]*\} 1$/m);
  assert.match(metrics, /^check_requests_total\{outcome="allowed",[^}]*\} [1-9]/m);
});

test("while policy-service is away, nothing but public routes is let through", async () => {
  await deployment.policy.stop("SIGKILL");
  assert.equal(statusOf(await check("GET", "/sheets/1?n=2", { authorization: `Bearer ${token}` })), 503);
  assert.equal(statusOf(await check("GET", "/sheets/1?n=2")), 401);
  assert.equal(statusOf(await check("GET", "/open")), 200);
});
