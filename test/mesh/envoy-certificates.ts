/** Certificates of auth-service and of the proxy that asks it are replaced under load, and nobody notices. */
import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import {
  type Authority,
  type CertificateDirectory,
  createAuthority,
  createCertificateDirectory,
  type Leaf,
  swapFiles,
} from "../support/certificates.ts";
import { type Deployment, startDeployment } from "../support/deployment.ts";
import { freePort } from "../support/ports.ts";
import { until } from "../support/until.ts";
import { type Envoy, startEnvoy } from "./envoy.ts";
import { clientSecretFile } from "./envoy-clusters.ts";
import { createEnvoyConfig } from "./envoy-config.ts";
import { type Caller, createCaller, startLoad } from "./traffic.ts";
import { startWorkload, type Workload } from "./workload.ts";

const serverName = "auth.gatehouse.example";
const proxyId = "spiffe://gatehouse.example/proxy";
const authority: Authority = createAuthority("gatehouse");
let server: CertificateDirectory;
let client: string;
let authorityFile: string;
let deployment: Deployment;
let workload: Workload;
let envoy: Envoy;
let caller: Caller;
let alice = "";
let bob = "";

/** Gives auth-service a new certificate, and the proxy another. Answers the serial number of auth-service's. */
function rotate(): Leaf {
  const leaf = authority.issue({ names: [`DNS:${serverName}`], usage: "serverAuth" });
  swapFiles(server, { "tls.crt": leaf.cert, "tls.key": leaf.key, "ca.crt": authority.cert });
  const own = authority.issue({ names: [`URI:${proxyId}`], usage: "clientAuth" });
  const type = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
  const chain = { certificate_chain: { inline_string: own.cert }, private_key: { inline_string: own.key } };
  const file = join(client, clientSecretFile);
  writeFileSync(
    `${file}.new`,
    JSON.stringify({ resources: [{ "@type": type, name: "client", tls_certificate: chain }] }),
  );
  renameSync(`${file}.new`, file);
  return leaf;
}

/** The certificate that auth-service shows to a new connection, PEM. */
function shown(): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls(
      { host: "127.0.0.1", port: deployment.ports.authHttp, ca: authority.cert, servername: serverName },
      () => {
        const { raw } = socket.getPeerCertificate();
        socket.destroy();
        resolve(raw.toString("base64"));
      },
    );
    socket.once("error", reject);
  });
}

/** Signs a user of the demo in on the edge, where clients need no certificate. */
function signIn(username: string, password: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: "127.0.0.1",
        port: deployment.ports.authHttp,
        path: "/gatehouse.auth.v1.AuthService/Authenticate",
        method: "POST",
        headers: { "content-type": "application/json" },
        ca: authority.cert,
        servername: serverName,
      },
      (response) => {
        json(response).then((answer) => resolve((answer as { sessionToken: string }).sessionToken), reject);
      },
    );
    outgoing.once("error", reject);
    outgoing.end(JSON.stringify({ password: { username, password } }));
  });
}

const bytesOf = ({ cert }: Leaf): string => cert.replace(/-----[^-]+-----|\s/g, "");

async function isLive(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connectTls({ host: "127.0.0.1", port, ca: authority.cert, servername: serverName }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

before(async () => {
  server = createCertificateDirectory();
  client = mkdtempSync(join(tmpdir(), "gatehouse-proxy-"));
  authorityFile = join(client, "ca.crt");
  writeFileSync(authorityFile, authority.cert);
  rotate();
  deployment = await startDeployment(
    {
      AUTH_CHECK_MAPPING: "policies/documents/check-mapping.yaml",
      POLICY_TIMEOUT: "1s",
      TLS_CERT_FILE: server.file("tls.crt"),
      TLS_KEY_FILE: server.file("tls.key"),
      TLS_CLIENT_CA_FILE: server.file("ca.crt"),
      TLS_CLIENT_REQUIRED: "grpc",
      TLS_SPIFFE_ALLOW: "spiffe://gatehouse.example/",
      // Between the services, with the same certificates.
      POLICY_TLS_CA_FILE: server.file("ca.crt"),
      POLICY_TLS_SERVER_NAME: serverName,
      POLICY_TLS_CERT_FILE: join(client, "auth.crt"),
      POLICY_TLS_KEY_FILE: join(client, "auth.key"),
      ...writeAuthCertificate(),
    },
    isLive,
  );
  const ports = {
    inbound: await freePort(),
    admin: await freePort(),
    workload: await freePort(),
    grpc: await freePort(),
  };
  workload = await startWorkload(ports.workload, ports.grpc);
  envoy = await startEnvoy(
    createEnvoyConfig({
      listenPort: ports.inbound,
      adminPort: ports.admin,
      authGrpc: [{ port: deployment.ports.auth }],
      authHttp: [{ port: deployment.ports.authHttp }],
      upstream: [{ port: ports.workload }],
      upstreamGrpc: [{ port: ports.grpc }],
      issuer: "https://auth.example.com",
      authTls: { directory: client, authority: authorityFile, serverName },
      checkTimeoutMs: 2_000,
    }),
    ports.admin,
  );
  caller = createCaller(ports.inbound);
  alice = await signIn("alice", "wonderland");
  bob = await signIn("bob", "builder");
});
after(async () => {
  caller?.close();
  await envoy?.close();
  workload?.close();
  await deployment?.close();
  server?.remove();
  rmSync(client, { recursive: true, force: true });
});

/** The certificate that auth-service shows to policy-service. */
function writeAuthCertificate(): Record<string, never> {
  const own = authority.issue({ names: ["URI:spiffe://gatehouse.example/auth"], usage: "clientAuth" });
  writeFileSync(join(client, "auth.crt"), own.cert);
  writeFileSync(join(client, "auth.key"), own.key);
  return {};
}

test("certificates are replaced under load, and no request that may pass fails", async () => {
  const edit = (token: string) => () =>
    caller.ask("/docs/handbook", { method: "PUT", headers: { authorization: `Bearer ${token}` }, body: "text" });
  const allowed = startLoad(50, edit(alice));
  const forbidden = startLoad(10, edit(bob));
  for (let round = 0; round < 3; round += 1) {
    const leaf = rotate();
    writeAuthCertificate();
    await until("the new certificate is shown", async () => (await shown()) === bytesOf(leaf));
    await sleep(500);
  }
  await Promise.all([allowed.stop(), forbidden.stop()]);
  assert.ok(allowed.sent > 50, `${allowed.sent} requests`);
  assert.deepEqual(allowed.statuses, { 200: allowed.sent }, JSON.stringify(allowed.examples));
  assert.deepEqual(forbidden.statuses, { 403: forbidden.sent }, JSON.stringify(forbidden.examples));
});

test("a client whose certificate is on no list gets no connection", async () => {
  const stranger = authority.issue({ names: ["URI:spiffe://other.example/proxy"], usage: "clientAuth" });
  await assert.rejects(
    new Promise((resolve, reject) => {
      const options = { ca: authority.cert, servername: serverName, ALPNProtocols: ["h2"], ...stranger };
      const socket = connectTls({ host: "127.0.0.1", port: deployment.ports.auth, ...options });
      socket.once("data", resolve);
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("closed")));
    }),
  );
});
