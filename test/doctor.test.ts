import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createServer } from "node:tls";
import { Redis } from "ioredis";
import { startChildService } from "../src/cli/child-service.ts";
import { judgeCertificate } from "../src/cli/doctor/certificates.ts";
import { runCommand } from "./mesh/command.ts";
import { type AuthReplicas, startAuthReplicas } from "./support/auth-replicas.ts";
import { createAuthority, createCertificateDirectory } from "./support/certificates.ts";
import { runDoctor, startSkewingProxy } from "./support/doctor.ts";
import { eventually } from "./support/eventually.ts";
import { runGatehouse } from "./support/gatehouse-command.ts";
import { adminKey, type PolicyReplica, startPolicyReplica } from "./support/policy-replica.ts";
import { freePort, isListening } from "./support/ports.ts";
import { type RedisServer, startRedisServer } from "./support/redis-server.ts";

const dir = mkdtempSync(join(tmpdir(), "gatehouse-doctor-"));
let redis: RedisServer;
let one: PolicyReplica;
let two: PolicyReplica;
let auth: AuthReplicas;

const place = ({ port, httpPort }: PolicyReplica): string => `127.0.0.1:${port}/${httpPort}`;
const authPlaces = (): string[] =>
  auth.all.flatMap(({ grpcPort, httpPort }) => ["--auth", `127.0.0.1:${grpcPort}/${httpPort}`]);

before(async () => {
  redis = await startRedisServer();
  const env = { REDIS_URL: redis.url, POLICY_DIR: "policies/documents" };
  [one, two] = await Promise.all([startPolicyReplica(env), startPolicyReplica(env)]);
  auth = await startAuthReplicas(
    2,
    {
      REDIS_URL: redis.url,
      AUTH_ISSUER: "http://127.0.0.1:1",
      AUTH_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString("base64"),
      POLICY_ADDRESS: `127.0.0.1:${one.port}`,
    },
    Date.now,
  );
});
after(async () => {
  await Promise.all([one.close(), two.close(), auth.close()]);
  await redis.stop();
  rmSync(dir, { recursive: true, force: true });
});

test("an install that is well: everything agrees, and the exit code is 0", async () => {
  const words = [...authPlaces(), "--policy", place(one), "--policy", place(two)];
  const { code, findings, of } = await runDoctor(words, { REDIS_URL: redis.url, GATEHOUSE_TOKEN: adminKey });
  assert.deepEqual(of("problem"), []);
  assert.equal(code, 0);
  const ok = of("ok").join("\n");
  for (const expected of [
    /health: serving/,
    /reflection: serves gatehouse.policy.v1.PolicyService/,
    /readiness: ready: policies \(revision /,
    /version: all are \d+\.\d+\.\d+/,
    /revision: all 2 decide by \S+/,
    /entities: all 2 hold entity revision \d+/,
    /oauth: all name the issuer http:\/\/127.0.0.1:1/,
    /jwks: all publish the same \d+ keys/,
    /latency: median/,
    /eviction: does not evict/,
    /persistence: append-only file is on/,
    /clock: the replicas' clocks agree/,
  ]) {
    assert.match(ok, expected);
  }
  // The issuer of this test is nowhere.
  assert.deepEqual(of("warning").length, 1);
  assert.match(of("warning")[0] ?? "", /jwks: jwks_uri cannot be fetched from here/);
  assert.ok(findings.every(({ level, remedy }) => (level === "ok") === (remedy === undefined)));
  const text = JSON.stringify(findings);
  assert.ok(!text.includes(adminKey));
});

test("a service that is down, by the command", async () => {
  const port = await freePort();
  const gone = `127.0.0.1:${port}/${await freePort()}`;
  const { code, out } = await runGatehouse(["doctor", "--policy", place(one), "--policy", gone]);
  assert.equal(code, 1);
  assert.match(out, new RegExp(`problem +policy-service 127.0.0.1:${port} +reachable: nothing answers.*ECONNREFUSED`));
  assert.match(out, /-> Check that the pod runs/);
  assert.match(out, /\d+ ok, \d+ warnings, 2 problems, 1 skipped$/);
});

test("a replica with other policies, seen in the metrics and by PolicyAdminService", async () => {
  const policies = join(dir, "other-policies");
  cpSync("policies/documents", policies, { recursive: true });
  writeFileSync(join(policies, "more.cedar"), '@id("more") forbid (principal, action == Action::"edit", resource);');
  const other = await startPolicyReplica({ DATA_DIR: join(dir, "other"), POLICY_DIR: policies });
  try {
    const words = ["--policy", place(one), "--policy", place(other)];
    for (const env of [{}, { GATEHOUSE_TOKEN: adminKey }]) {
      const { code, of } = await runDoctor(words, env);
      assert.equal(code, 1);
      const found = of("problem").find((each) => each.startsWith("revision: replicas decide by different policies"));
      assert.ok(found?.includes(`policy-service 127.0.0.1:${other.port}`), of("problem").join("\n"));
    }
    const refused = await runDoctor(words, { GATEHOUSE_TOKEN: "not-the-key-of-an-admin-0123456789" });
    assert.match(refused.of("problem").join("\n"), /revision: the policy revision cannot be read \(UNAUTHENTICATED/);
  } finally {
    await other.close();
  }
});

test("a replica that is not ready names what it waits for", async () => {
  const policies = join(dir, "broken-policies");
  cpSync("policies/documents", policies, { recursive: true });
  writeFileSync(join(policies, "broken.cedar"), "permit (principal, action");
  const env = { DATA_DIR: join(dir, "broken"), POLICY_DIR: policies };
  const broken = await startPolicyReplica(env, { waitForPolicies: false });
  try {
    const { code, of } = await runDoctor(["--policy", place(broken)]);
    assert.equal(code, 1);
    const problems = of("problem").join("\n");
    assert.match(problems, /health: not serving/);
    assert.match(problems, /readiness: waits for policies/);
  } finally {
    await broken.close();
  }
});

test("wrong ports: the other service, another program, and a name that is not there", async () => {
  const swapped = await runDoctor(["--auth", place(one)]);
  assert.match(swapped.of("problem").join("\n"), /reflection: is policy-service, not auth-service/);
  const stranger = await runDoctor(["--policy", `127.0.0.1:${redis.port}/${redis.port}`]);
  assert.equal(stranger.code, 1);
  assert.match(stranger.of("problem").join("\n"), /health: the gRPC port answers, but not to grpc.health.v1/);
  assert.match(stranger.of("problem").join("\n"), /readiness: the HTTP edge on port \d+ does not answer/);
  const nowhere = await runDoctor(["--policy", "gatehouse.invalid"]);
  assert.match(nowhere.of("problem").join("\n"), /dns: the name cannot be resolved/);
  const usage = await runGatehouse(["doctor", "--policy", "no place"]);
  assert.equal(usage.code, 2);
});

test("a clock that is off", async () => {
  const proxy = await startSkewingProxy(two.httpPort, 60_000);
  try {
    const { code, of } = await runDoctor(["--policy", place(one), "--policy", `127.0.0.1:${two.port}/${proxy.port}`]);
    assert.equal(code, 1);
    const problems = of("problem").join("\n");
    assert.match(problems, /clock: the clock is (59|60)\.\d s ahead of this machine/);
    assert.match(problems, /clock: the replicas' clocks are up to (59|60|61)\.\d s apart/);
  } finally {
    proxy.close();
  }
});

test("a replica of auth-service with keys of its own", async () => {
  const other = await startAuthReplicas(
    1,
    { AUTH_ISSUER: "http://127.0.0.1:1", AUTH_ENCRYPTION_KEY: Buffer.alloc(32, 8).toString("base64") },
    Date.now,
  );
  try {
    const { code, of } = await runDoctor([
      ...authPlaces(),
      "--auth",
      `127.0.0.1:${other.all[0]?.grpcPort}/${other.all[0]?.httpPort}`,
    ]);
    assert.equal(code, 1);
    assert.match(of("problem").join("\n"), /jwks: published keys differ/);
  } finally {
    await other.close();
  }
});

test("a Redis that evicts, and one that is away; its password is not shown", async () => {
  const client = new Redis(redis.port);
  try {
    await client.config("SET", "maxmemory", "100mb");
    await client.config("SET", "maxmemory-policy", "allkeys-lru");
    const words = ["--policy", place(one)];
    const evicting = await runDoctor(words, { REDIS_URL: redis.url });
    assert.match(evicting.of("problem").join("\n"), /eviction: maxmemory-policy is allkeys-lru/);
    const away = await runDoctor(words, { REDIS_URL: `redis://:secret-word@127.0.0.1:${await freePort()}` });
    assert.match(away.of("problem").join("\n"), /redis: cannot be used from here/);
    assert.ok(!JSON.stringify(away.findings).includes("secret-word"));
  } finally {
    await client.config("SET", "maxmemory", "0");
    client.disconnect();
  }
});

test("the shipped manifests are as they should be; each fault in them is found", async () => {
  const shipped = await runDoctor(["--manifests", "k8s"]);
  assert.deepEqual([...shipped.of("problem"), ...shipped.of("warning")], []);
  assert.equal(shipped.code, 0);

  const faults: readonly [file: string, from: string, to: string, found: RegExp][] = [
    [
      "istio/protect/authorization-policy.yaml",
      "    name: gatehouse\n  rules",
      "    name: gatehose\n  rules",
      /names the provider gatehose, which the mesh does not have \(gatehouse\)/,
    ],
    ["istio/protect/authorization-policy.yaml", "  rules:\n    - {}\n", "", /has no rules/],
    ["istio/control-plane.yaml", "failOpen: false", "failOpen: true", /fails open/],
    ["istio/control-plane.yaml", 'statusOnError: "503"', 'statusOnError: "403"', /answers trouble with 403/],
    ["istio/control-plane.yaml", "timeout: 0.250s", "timeout: 30s", /waits 30s/],
    ["istio/control-plane.yaml", "normalization: DECODE_AND_MERGE_SLASHES", "normalization: NONE", /%2F/],
    [
      "istio/control-plane.yaml",
      "gatehouse/auth-service.gatehouse.svc.cluster.local",
      "auth-service",
      /does not name a service in full/,
    ],
    ["istio/peer-authentication.yaml", "    mode: STRICT", "    mode: PERMISSIVE", /lets plain text in/],
    ["istio/destination-rules.yaml", "maxRetries: 16", "maxRequestsPerConnection: 10", /maxRequestsPerConnection/],
    [
      "base/services.yaml",
      "  ports:\n    - name: grpc\n",
      "  clusterIP: None\n  ports:\n    - name: grpc\n",
      /is headless/,
    ],
  ];
  for (const [index, [file, from, to, found]] of faults.entries()) {
    const copy = join(dir, `k8s-${index}`);
    cpSync("k8s", copy, { recursive: true });
    const path = join(copy, file);
    const text = readFileSync(path, "utf8");
    assert.ok(text.includes(from), `${file} has ${from}`);
    writeFileSync(path, text.replace(from, to));
    const { of } = await runDoctor(["--manifests", copy]);
    assert.match([...of("problem"), ...of("warning")].join("\n"), found, file);
  }

  const bad = join(dir, "bad.yaml-only");
  cpSync("k8s/istio/protect", bad, { recursive: true });
  writeFileSync(join(bad, "broken.yaml"), "kind: [\n");
  const { code, of } = await runDoctor(["--manifests", bad]);
  assert.equal(code, 1);
  assert.match(of("problem").join("\n"), /^yaml: /);
  assert.match(of("skipped").join("\n"), /there is no mesh configuration here/);
});

test("certificates: good, soon to end, ended, of another name, and of an issuer that is not trusted", async () => {
  const [cert, key] = [join(dir, "gateway.crt"), join(dir, "gateway.key")];
  const subject = ["-subj", "/CN=gateway", "-addext", "subjectAltName=DNS:gateway.example", "-days", "30"];
  const made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", ...subject];
  assert.equal((await runCommand("openssl", [...made, "-keyout", key, "-out", cert])).code, 0);
  const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const ca = readFileSync(cert);
  const judge = async (days: number, trusted: Buffer | undefined, serverName = "gateway.example"): Promise<string> => {
    const at = { subject: "gateway", address: "127.0.0.1", port, serverName };
    const now = (): number => Date.now() + days * 86_400_000;
    const [finding] = await judgeCertificate(at, { timeoutMs: 5_000, ca: trusted, now });
    return `${finding?.level} ${finding?.message}`;
  };
  try {
    assert.match(await judge(0, ca), /^ok good for (29|30) days/);
    assert.match(await judge(20, ca), /^warning ends in (9|10) days/);
    assert.match(await judge(40, ca), /^problem ended on /);
    assert.match(await judge(0, undefined), /^problem is not trusted \(/);
    assert.match(await judge(0, ca, "other.example"), /^problem is not trusted \(ERR_TLS_CERT_ALTNAME_INVALID\)/);
  } finally {
    server.close();
  }
  assert.match(await judge(0, ca), /^warning no TLS handshake/);
});

test("a service with mutual TLS, its own certificate soon to end", async () => {
  const files = createCertificateDirectory();
  const authority = createAuthority("doctor");
  const server = authority.issue({ names: ["DNS:localhost"], usage: "serverAuth", days: 5 });
  const caller = authority.issue({ names: ["URI:spiffe://gatehouse.example/doctor"], usage: "clientAuth" });
  const all = { "ca.crt": authority.cert, "tls.crt": server.cert, "tls.key": server.key };
  for (const [name, text] of Object.entries({ ...all, "own.crt": caller.cert, "own.key": caller.key })) {
    files.write(name, text);
  }
  const ports = [await freePort(), await freePort()];
  const secured = startChildService({
    entry: "src/policy/main.ts",
    env: {
      PATH: process.env.PATH,
      POLICY_GRPC_PORT: String(ports[0]),
      POLICY_HTTP_PORT: String(ports[1]),
      POLICY_DIR: "policies/documents",
      DATA_DIR: join(dir, "secured"),
      TLS_CERT_FILE: files.file("tls.crt"),
      TLS_KEY_FILE: files.file("tls.key"),
      TLS_CLIENT_CA_FILE: files.file("ca.crt"),
    },
    isReady: () => isListening(ports[1] ?? 0),
  });
  try {
    await secured.ready;
    const at = ["--policy", `localhost:${ports[0]}/${ports[1]}`];
    const tls = [
      "--tls-ca",
      files.file("ca.crt"),
      "--tls-cert",
      files.file("own.crt"),
      "--tls-key",
      files.file("own.key"),
    ];
    await eventually(async () => {
      const { code, of } = await runDoctor([...at, ...tls]);
      assert.deepEqual(of("problem"), []);
      assert.equal(code, 0);
      assert.match(of("ok").join("\n"), /reflection: serves gatehouse.policy.v1.PolicyService/);
      assert.match(of("warning").join("\n"), /certificate: ends in 4 days/);
      assert.match(of("warning").join("\n"), /certificate: \S+: ends in 4 days/);
    });
    const plain = await runDoctor(at);
    assert.equal(plain.code, 1);
    const strange = await runDoctor([...at, ...tls, "--tls-server-name", "elsewhere.example"]);
    assert.match(strange.of("problem").join("\n"), /certificate: is not trusted/);
  } finally {
    await secured.stop();
    files.remove();
  }
});
