import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { AuthService } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { startChildService } from "../src/cli/child-service.ts";
import { createServiceClient, type ServiceClient } from "../src/shared/client/service-client.ts";
import { watchCertificates } from "../src/shared/tls/certificate-watch.ts";
import {
  type Authority,
  type CertificateDirectory,
  createAuthority,
  createCertificateDirectory,
  type Leaf,
  swapFiles,
} from "./support/certificates.ts";
import { type Deployment, startDeployment } from "./support/deployment.ts";
import { eventually } from "./support/eventually.ts";
import { runGatehouse } from "./support/gatehouse-command.ts";
import { freePort } from "./support/ports.ts";

const run = promisify(execFile);
const trustDomain = "spiffe://gatehouse.example";
const roles = ["server", "auth", "policy", "caller"] as const;
type Role = (typeof roles)[number];

const directories: Record<Role, CertificateDirectory> = {
  server: createCertificateDirectory(),
  auth: createCertificateDirectory(),
  policy: createCertificateDirectory(),
  caller: createCertificateDirectory(),
};
const first = createAuthority("first");
let leaves: Record<Role, Leaf>;
let deployment: Deployment;
let caller: ServiceClient<typeof AuthService>;
let callerWatch: ReturnType<typeof watchCertificates>;

const filesOf = (role: Role): { cert: string; key: string; ca: string } => ({
  cert: directories[role].file("tls.crt"),
  key: directories[role].file("tls.key"),
  ca: directories[role].file("ca.crt"),
});

/** Gives everyone a certificate of `issuer`. */
function issueAll(issuer: Authority): Record<Role, Leaf> {
  return {
    server: issuer.issue({ names: ["DNS:localhost", "DNS:gatehouse.example"], usage: "serverAuth" }),
    auth: issuer.issue({ names: [`URI:${trustDomain}/auth`], usage: "clientAuth" }),
    policy: issuer.issue({ names: [`URI:${trustDomain}/policy`], usage: "clientAuth" }),
    caller: issuer.issue({ names: [`URI:${trustDomain}/callers/test`], usage: "clientAuth" }),
  };
}

/** Puts certificates where everyone looks for theirs. */
function distribute(certificates: Record<Role, Leaf>, authorities: string): void {
  leaves = certificates;
  for (const role of roles) {
    const { cert, key } = certificates[role];
    swapFiles(directories[role], { "tls.crt": cert, "tls.key": key, "ca.crt": authorities });
  }
}

/** Asks an edge by HTTPS, with no certificate unless one is given. */
function get(port: number, path: string, ca: string, own?: Leaf): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    request({ host: "localhost", port, path, agent: false, ca, ...own }, (response) =>
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject),
    )
      .on("error", reject)
      .end();
  });
}

async function metric(port: number, line: RegExp, ca: string): Promise<number> {
  const { body } = await get(port, "/metrics", ca, leaves.caller);
  return Number(line.exec(body)?.[1]);
}

before(async () => {
  distribute(issueAll(first), first.cert);
  const peer = (prefix: string, role: Role): Record<string, string> => ({
    [`${prefix}_TLS_CA_FILE`]: filesOf(role).ca,
    [`${prefix}_TLS_CERT_FILE`]: filesOf(role).cert,
    [`${prefix}_TLS_KEY_FILE`]: filesOf(role).key,
    // The addresses are of loopback; the certificate is not.
    [`${prefix}_TLS_SERVER_NAME`]: "gatehouse.example",
  });
  deployment = await startDeployment(
    {
      TLS_CERT_FILE: filesOf("server").cert,
      TLS_KEY_FILE: filesOf("server").key,
      TLS_CLIENT_CA_FILE: filesOf("server").ca,
      TLS_SPIFFE_ALLOW: `${trustDomain}/auth, ${trustDomain}/policy, ${trustDomain}/callers/`,
      ...peer("POLICY", "auth"),
      ...peer("AUTH", "policy"),
      POLICY_TIMEOUT: "5s",
      GRPC_MAX_CONNECTION_AGE: "1s",
      // However slow the machine: overload is not what is tested here.
      OVERLOAD_TARGET_DELAY: "5s",
      OVERLOAD_INTERVAL: "10s",
    },
    async (port) =>
      (await get(port, "/readyz", readFileSync(filesOf("server").ca, "utf8")).catch(() => ({ status: 0 }))).status ===
      200,
  );
  callerWatch = watchCertificates({ files: filesOf("caller"), onLook: () => {}, settleMs: 20 });
  caller = createServiceClient(AuthService, {
    address: `localhost:${deployment.ports.auth}`,
    target: "auth-service",
    deadlineMs: 10_000,
    tls: { certificates: callerWatch },
  });
});
after(async () => {
  caller?.close();
  callerWatch?.close();
  await deployment?.close();
  for (const role of roles) directories[role].remove();
});

async function signIn(username: string, password: string): Promise<string> {
  const answer = await caller.authenticate({ credential: { case: "password", value: { username, password } } });
  return answer.sessionToken;
}

async function mayView(token: string): Promise<boolean> {
  const answer = await caller.authorize({
    credential: { case: "bearerToken", value: token },
    action: { type: "Action", id: "view" },
    resource: { type: "Document", id: "handbook" },
  });
  return answer.allowed;
}

test("the services ask each other by mutual TLS", async () => {
  assert.equal(await mayView(await signIn("bob", "builder")), true);
});

test("the command connects by TLS, with a certificate of its own", async () => {
  const env = { GATEHOUSE_TOKEN: await signIn("admin", "gatehouse") };
  const { ca, cert, key } = filesOf("caller");
  const own = ["--tls-ca", ca, "--tls-cert", cert, "--tls-key", key];
  const auth = ["--address", `localhost:${deployment.ports.auth}`];
  const policy = ["--address", `127.0.0.1:${deployment.ports.policy}`, "--tls-server-name", "localhost"];

  const users = await runGatehouse(["user", "list", ...auth, ...own], env);
  assert.match(users.out, /alice/, users.err);
  // policy-service in turn asks auth-service whose token it is.
  const revisions = await runGatehouse(["policy", "revisions", ...policy, ...own], env);
  assert.equal(revisions.code, 0, revisions.err);

  for (const [options, code, message] of [
    [[], 1, /cannot be reached|UNAVAILABLE/],
    [["--tls-ca", ca], 1, /UNAVAILABLE/],
    [["--tls-ca", filesOf("caller").key], 1, /tls\.key holds no certificate in PEM/],
    [["--tls-ca", ca, "--tls-cert", cert], 2, /--tls-cert and --tls-key go together/],
    [["--tls-cert", cert, "--tls-key", key], 2, /--tls-ca is required/],
  ] as const) {
    const refused = await runGatehouse(["user", "list", ...auth, ...options], env);
    assert.equal(refused.code, code, `${options.join(" ")}: ${refused.err}`);
    assert.match(refused.err, message);
  }
});

const mayEdit = {
  principal: { type: "User", id: "alice" },
  action: { type: "Action", id: "edit" },
  resource: { type: "Document", id: "handbook" },
};

test("buf curl, a client that is not ours, speaks gRPC by mutual TLS with reflection", async () => {
  const { ca, cert, key } = filesOf("caller");
  const { stdout } = await run("buf", [
    ...["curl", "--protocol", "grpc", "--cacert", ca, "--cert", cert, "--key", key],
    ...["-d", JSON.stringify(mayEdit)],
    `https://localhost:${deployment.ports.policy}/gatehouse.policy.v1.PolicyService/Evaluate`,
  ]);
  assert.equal(JSON.parse(stdout).decision, "DECISION_ALLOW");
});

test("everything is rotated, the authority too, and no call fails", async () => {
  const token = await signIn("bob", "builder");
  const second = createAuthority("second");
  const both = `${first.cert}${second.cert}`;
  const renewed = issueAll(second);
  const { ports } = deployment;
  let done = false;
  const load = async (call: () => Promise<boolean>): Promise<number> => {
    let calls = 0;
    for (; !done; calls += 1) assert.equal(await call(), true);
    return calls;
  };
  const loads = Promise.all([
    load(() => mayView(token)),
    load(() => mayView(token)),
    load(async () => (await get(ports.authHttp, "/metrics", both, leaves.caller)).status === 200),
    load(async () => (await get(ports.policyHttp, "/readyz", both)).status === 200),
  ]).finally(() => {
    done = true;
  });
  const told = (): number => deployment.output.filter((line) => line.includes("certificates are in force")).length;
  /** Hands out certificates, and waits until both services have taken those of their ports and of their clients. */
  const rotate = async (certificates: Record<Role, Leaf>, authorities: string): Promise<void> => {
    const before = told();
    distribute(certificates, authorities);
    await eventually(() => assert.equal(told(), before + 4), 30_000);
    // Longer than a connection lives here: under this load, all are made anew.
    await sleep(1_500);
  };
  try {
    await rotate(leaves, both);
    await rotate(renewed, both);
    await rotate(leaves, second.cert);
  } finally {
    done = true;
  }
  for (const calls of await loads) assert.ok(calls > 0);

  // Nobody is left who needs the old authority: a service that starts now knows only the new one.
  await deployment.policy.stop();
  await deployment.restart("policy");
  await eventually(async () => assert.equal(await mayView(token), true));
  await assert.rejects(get(ports.policyHttp, "/readyz", first.cert), /certificate/);
});

test("a bad rotation is told, and changes nothing", async () => {
  const { ports } = deployment;
  const ca = readFileSync(filesOf("server").ca, "utf8");
  const failures = /^tls_reload_failures_total\{certificate="server".*\} (\d+)$/m;
  assert.equal(await metric(ports.authHttp, failures, ca), 0);
  swapFiles(directories.server, { "tls.crt": leaves.server.cert, "tls.key": leaves.caller.key, "ca.crt": ca });
  await eventually(async () => {
    const { status, body } = await get(ports.authHttp, "/readyz", ca);
    assert.equal(status, 200);
    assert.match(
      JSON.parse(body).checks["tls-server"].detail,
      /^valid until \S+; new certificates are not taken: .*tls.key/,
    );
  }, 20_000);
  assert.equal(await metric(ports.authHttp, failures, ca), 1);
  assert.ok(await signIn("bob", "builder"));
  assert.ok(!deployment.output.join("\n").includes("PRIVATE KEY"));
});

test("a service whose certificates cannot be used says so and ends", async () => {
  const { cert } = filesOf("caller");
  for (const [env, message] of [
    [{ TLS_CERT_FILE: cert }, /TLS_KEY_FILE is required with TLS_CERT_FILE/],
    [{ TLS_CERT_FILE: cert, TLS_KEY_FILE: filesOf("auth").key }, /does not hold the key of the certificate in/],
  ] as const) {
    const output: string[] = [];
    const service = startChildService({
      entry: "src/policy/main.ts",
      env: {
        PATH: process.env.PATH,
        POLICY_DIR: "policies/documents",
        POLICY_GRPC_PORT: String(await freePort()),
        POLICY_HTTP_PORT: String(await freePort()),
        DATA_DIR: directories.caller.path,
        ...env,
      },
      isReady: async () => false,
      onLine: (line) => output.push(line),
    });
    assert.equal(await service.exited, 1);
    assert.match(output.join("\n"), message);
  }
});
