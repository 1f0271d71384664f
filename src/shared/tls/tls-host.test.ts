import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { request } from "node:https";
import { connect as connectPlain } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { PolicyService } from "../../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import {
  type Authority,
  type CertificateDirectory,
  createAuthority,
  createCertificateDirectory,
  type Leaf,
  swapFiles,
} from "../../../test/support/certificates.ts";
import { eventually } from "../../../test/support/eventually.ts";
import type { ClientTls } from "../client/channel.ts";
import { createServiceClient, type ServiceClient } from "../client/service-client.ts";
import { evaluateRequest, startTestHost, type TestHost } from "../rpc/testing/test-host.ts";
import { createCertificateReport } from "./certificate-report.ts";
import { watchCertificates } from "./certificate-watch.ts";
import { loadCertificates } from "./certificates.ts";
import type { ServerTls } from "./tls-listener.ts";
import { createTlsMetrics } from "./tls-metrics.ts";

const evaluate = "/gatehouse.policy.v1.PolicyService/Evaluate";
const alice = "spiffe://shop.example/ns/shop/sa/alice";

interface TlsHost extends TestHost {
  readonly directory: CertificateDirectory;
  close(): Promise<void>;
}

interface TlsHostOptions {
  readonly authority: Authority;
  readonly server: Leaf;
  readonly clientRequired?: ServerTls["clientRequired"];
  readonly spiffeAllow?: readonly string[];
}

async function startTlsHost(options: TlsHostOptions): Promise<TlsHost> {
  const directory = createCertificateDirectory();
  const { authority, server, clientRequired, spiffeAllow = [] } = options;
  swapFiles(directory, { "tls.crt": server.cert, "tls.key": server.key, "ca.crt": authority.cert });
  const files = { cert: directory.file("tls.crt"), key: directory.file("tls.key") };
  let stop = (): void => {};
  // However slow the machine: overload is not what is tested here.
  const patient = { targetDelayMs: 5_000, overloadIntervalMs: 10_000 };
  const host = await startTestHost(patient, ({ readiness, metrics: { registry }, logger }) => {
    const metrics = createTlsMetrics(registry);
    const check = readiness.add("tls-server");
    const certificates = watchCertificates({
      files: clientRequired === undefined ? files : { ...files, ca: directory.file("ca.crt") },
      onLook: createCertificateReport({ name: "server", logger, metrics, check, gatesReadiness: true }),
      settleMs: 20,
      pollMs: 100,
    });
    stop = certificates.close;
    return {
      certificates,
      clientRequired: clientRequired ?? { grpc: false, edge: false },
      spiffeAllow,
      metrics,
      logger,
    };
  });
  return {
    ...host,
    directory,
    async close() {
      stop();
      await host.stop();
      directory.remove();
    },
  };
}

/** What a client expects in the server's certificate, in place of `localhost`. */
type Expected = Pick<ClientTls, "serverName" | "serverSpiffeId">;

function clientOf(
  port: number,
  authority: Authority,
  own?: Leaf,
  expected?: Expected,
): ServiceClient<typeof PolicyService> {
  const directory = createCertificateDirectory();
  directory.write("ca.crt", authority.cert);
  if (own !== undefined) {
    directory.write("own.crt", own.cert);
    directory.write("own.key", own.key);
  }
  const current = loadCertificates({
    ca: directory.file("ca.crt"),
    cert: own && directory.file("own.crt"),
    key: own && directory.file("own.key"),
  });
  directory.remove();
  return createServiceClient(PolicyService, {
    address: `localhost:${port}`,
    target: "test",
    deadlineMs: 10_000,
    tls: { certificates: { current, onChange: () => () => {} }, ...expected },
  });
}

async function grpcOnce(port: number, authority: Authority, own?: Leaf, expected?: Expected): Promise<string> {
  const client = clientOf(port, authority, own, expected);
  try {
    return (await client.evaluate(evaluateRequest({ id: "sync" }), { deadline: Date.now() + 10_000 })).decisionId;
  } finally {
    client.close();
  }
}

/** Status and body of a request over HTTP/1.1. */
function https(port: number, path: string, options: ConnectionOptions, body?: string): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: "localhost",
        port,
        path,
        agent: false,
        method: body === undefined ? "GET" : "POST",
        headers: { "content-type": "application/json" },
        ...options,
      },
      (response) => text(response).then((answer) => resolve([response.statusCode ?? 0, answer]), reject),
    );
    sent.on("error", reject);
    sent.end(body);
  });
}

/** Status and body of a request over HTTP/2. */
async function http2(session: ClientHttp2Session, path: string, body: string): Promise<[number, string]> {
  const stream = session.request({ ":method": "POST", ":path": path, "content-type": "application/json" });
  stream.end(body);
  const [[headers], answer] = await Promise.all([once(stream, "response"), text(stream)]);
  return [Number(headers[":status"]), answer];
}

/** A connection whose handshake is done. */
async function handshake(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connectTls({ host: "localhost", port, ...options });
  socket.on("error", () => {});
  await once(socket, "secureConnect");
  return socket;
}

const body = JSON.stringify({
  principal: { type: "User", id: "alice" },
  action: { type: "Action", id: "view" },
  resource: { type: "Document", id: "sync" },
});
const metric = async (host: TestHost, line: RegExp): Promise<number> =>
  Number(line.exec(await host.metrics.render())?.[1]);

const authority = createAuthority("authority");
const stranger = createAuthority("stranger");
const server = authority.issue({
  names: ["DNS:localhost", "DNS:other.example", "URI:spiffe://gatehouse.example/server"],
});

describe("TLS without client certificates", () => {
  let host: TlsHost;
  before(async () => {
    host = await startTlsHost({ authority, server });
  });
  after(() => host.close());

  it("serves both doors, HTTP/1.1 and HTTP/2 by ALPN", async () => {
    assert.equal(await grpcOnce(host.grpcPort, authority), "sync");
    const [status, answer] = await https(host.httpPort, evaluate, { ca: authority.cert }, body);
    assert.deepEqual([status, JSON.parse(answer).decisionId], [200, "sync"]);
    const session = connectHttp2(`https://localhost:${host.httpPort}`, { ca: authority.cert });
    const [status2, answer2] = await http2(session, evaluate, body);
    assert.deepEqual([status2, JSON.parse(answer2).decisionId], [200, "sync"]);
    assert.equal(session.alpnProtocol, "h2");
    session.destroy();
    assert.deepEqual(
      host.seen.map((context) => context.peerPrincipal),
      [undefined, undefined, undefined],
    );
  });

  it("refuses plain text, older versions and other protocols", async () => {
    for (const port of [host.grpcPort, host.httpPort]) {
      const socket = connectPlain(port, "127.0.0.1");
      socket.end("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n");
      assert.doesNotMatch(await text(socket).catch(() => ""), /HTTP/);
      const options = { ca: authority.cert };
      await assert.rejects(handshake(port, { ...options, minVersion: "TLSv1.1", maxVersion: "TLSv1.1" }));
      await assert.rejects(handshake(port, { ...options, ALPNProtocols: ["spdy/3"] }), /no application protocol/);
      const weak = { ...options, maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-SHA256" } as const;
      await assert.rejects(handshake(port, weak), /handshake failure/);
    }
    await assert.rejects(grpcOnce(host.grpcPort, stranger), { code: "UNAVAILABLE" });
    assert.ok((await metric(host, /tls_handshakes_refused_total\{reason="handshake".*\} (\d+)/)) >= 6);
  });

  it("is known to its clients by a name or a SPIFFE id", async () => {
    const wrong = { code: "UNAVAILABLE" };
    const ask = (expected: Expected): Promise<string> => grpcOnce(host.grpcPort, authority, undefined, expected);
    assert.equal(await ask({ serverName: "other.example" }), "sync");
    await assert.rejects(ask({ serverName: "third.example" }), wrong);
    assert.equal(await ask({ serverSpiffeId: "spiffe://gatehouse.example/server" }), "sync");
    assert.equal(await ask({ serverSpiffeId: "spiffe://gatehouse.example/server", serverName: "any" }), "sync");
    await assert.rejects(ask({ serverSpiffeId: "spiffe://gatehouse.example/serve" }), wrong);
    await assert.rejects(ask({ serverSpiffeId: "spiffe://gatehouse.example/other", serverName: "localhost" }), wrong);
    const id = { serverSpiffeId: "spiffe://gatehouse.example/server" };
    await assert.rejects(grpcOnce(host.grpcPort, stranger, undefined, id), wrong);
  });

  it("resumes no session, for it would pass by what has changed since", async () => {
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      const options = { ca: authority.cert, maxVersion };
      const socket = connectTls({ host: "localhost", port: host.httpPort, ...options });
      let session: Buffer | undefined;
      socket.on("session", (given) => (session = given));
      socket.end("GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
      assert.match(await text(socket), /200 OK/);
      const again = await handshake(host.httpPort, { ...options, session: session ?? socket.getSession() });
      assert.equal(again.isSessionReused(), false, maxVersion);
      again.destroy();
    }
  });

  it("counts its connections, and they end", async () => {
    const socket = await handshake(host.httpPort, { ca: authority.cert });
    assert.ok((await metric(host, /^service_active_connections\{.*\} (\d+)/m)) >= 1);
    socket.destroy();
    await eventually(async () => assert.equal(await metric(host, /^service_active_connections\{.*\} (\d+)/m), 0));
  });
});

it("a host with TLS drains: calls in flight are answered, and connections end", async () => {
  const host = await startTlsHost({ authority, server });
  const client = clientOf(host.grpcPort, authority);
  const session = connectHttp2(`https://localhost:${host.httpPort}`, { ca: authority.cert });
  const slow = body.replace("sync", "slow");
  const calls = [client.evaluate(evaluateRequest({ id: "slow" })), http2(session, evaluate, slow)] as const;
  await eventually(() => assert.equal(host.seen.length, 2));
  const [closed] = await Promise.all([once(session, "close"), host.close()]);
  assert.deepEqual(closed, []);
  const [grpc, [status]] = await Promise.all(calls);
  assert.deepEqual([grpc.decisionId, status], ["slow", 200]);
  client.close();
});

describe("TLS with client certificates", () => {
  const clientAlice = authority.issue({ names: [`URI:${alice}`], usage: "clientAuth" });
  const clientBob = authority.issue({ names: ["URI:spiffe://shop.example/ns/shop/sa/bob"] });
  const clientPlain = authority.issue({ names: ["DNS:client.example"] });
  const clientTwo = authority.issue({ names: [`URI:${alice}`, "URI:spiffe://shop.example/ns/admin/sa/root"] });
  const expired = authority.issue({ names: [`URI:${alice}`], days: -1 });
  const forged = stranger.issue({ names: [`URI:${alice}`] });
  const ofServer = authority.issue({ names: [`URI:${alice}`], usage: "serverAuth" });
  const refused = { code: "UNAVAILABLE" };
  let host: TlsHost;
  before(async () => {
    host = await startTlsHost({
      authority,
      server,
      clientRequired: { grpc: true, edge: true },
      spiffeAllow: [alice, "spiffe://shop.example/ns/ops/"],
    });
  });
  after(() => host.close());
  const seen = (): readonly (string | undefined)[] => host.seen.splice(0).map((context) => context.peerPrincipal);

  it("tells handlers on both doors who is calling", async () => {
    assert.equal(await grpcOnce(host.grpcPort, authority, clientAlice), "sync");
    const credentials = { ca: authority.cert, ...clientAlice };
    assert.equal((await https(host.httpPort, evaluate, credentials, body))[0], 200);
    const session = connectHttp2(`https://localhost:${host.httpPort}`, credentials);
    assert.equal((await http2(session, evaluate, body))[0], 200);
    session.destroy();
    assert.deepEqual(seen(), [alice, alice, alice]);
    const ops = authority.issue({ names: ["URI:spiffe://shop.example/ns/ops/sa/any"] });
    await grpcOnce(host.grpcPort, authority, ops);
    assert.deepEqual(seen(), ["spiffe://shop.example/ns/ops/sa/any"]);
  });

  it("logs who was refused", async () => {
    const client = clientOf(host.grpcPort, authority, clientAlice);
    await assert.rejects(client.evaluate(evaluateRequest({ id: "refuse" })), { reason: "NOT_YOU" });
    client.close();
    const line =
      host
        .logs()
        .split("\n")
        .find((entry) => entry.includes("NOT_YOU")) ?? "{}";
    assert.equal(JSON.parse(line).peerPrincipal, alice);
    seen();
  });

  it("lets nobody in without a certificate", async () => {
    await assert.rejects(grpcOnce(host.grpcPort, authority), refused);
    for (const path of [evaluate, "/metrics", "/livez/../metrics", "//livez"]) {
      const sent = path === evaluate ? body : undefined;
      const [status, answer] = await https(host.httpPort, path, { ca: authority.cert }, sent);
      assert.deepEqual([status, JSON.parse(answer).code], [401, "unauthenticated"], path);
    }
    assert.equal((await https(host.httpPort, "/livez", { ca: authority.cert }, body))[0], 401, "POST");
    const session = connectHttp2(`https://localhost:${host.httpPort}`, { ca: authority.cert });
    assert.equal((await http2(session, evaluate, body))[0], 401);
    session.destroy();
    assert.deepEqual(seen(), []);
  });

  it("answers probes, which have none", async () => {
    for (const path of ["/livez", "/readyz"]) {
      assert.equal((await https(host.httpPort, path, { ca: authority.cert }))[0], 200);
    }
  });

  const bad: Readonly<Record<string, Leaf>> = {
    "that another authority issued": forged,
    "that has expired": expired,
    "that is for servers": ofServer,
    "whose SPIFFE id is not on the list": clientBob,
    "without a SPIFFE id": clientPlain,
    "with two": clientTwo,
  };
  for (const [what, leaf] of Object.entries(bad)) {
    it(`refuses a certificate ${what}`, async () => {
      await assert.rejects(grpcOnce(host.grpcPort, authority, leaf), refused);
      await assert.rejects(https(host.httpPort, "/livez", { ca: authority.cert, ...leaf }));
      assert.deepEqual(seen(), []);
    });
  }

  it("counts why", async () => {
    assert.ok((await metric(host, /tls_handshakes_refused_total\{reason="certificate".*\} (\d+)/)) >= 3);
    assert.ok((await metric(host, /tls_handshakes_refused_total\{reason="spiffe_id".*\} (\d+)/)) >= 6);
    assert.match(host.logs(), /"spiffeId":"spiffe:\/\/shop.example\/ns\/shop\/sa\/bob"/);
  });
});

describe("TLS that asks for client certificates and demands none", () => {
  let host: TlsHost;
  before(async () => {
    host = await startTlsHost({ authority, server, clientRequired: { grpc: false, edge: false } });
  });
  after(() => host.close());

  it("serves who has none, and knows who has a good one", async () => {
    await grpcOnce(host.grpcPort, authority);
    await grpcOnce(host.grpcPort, authority, authority.issue({ names: [`URI:${alice}`] }));
    assert.deepEqual(
      host.seen.splice(0).map((context) => context.peerPrincipal),
      [undefined, alice],
    );
  });

  it("refuses who has a bad one, rather than not to know him", async () => {
    const forged = stranger.issue({ names: [`URI:${alice}`] });
    await assert.rejects(grpcOnce(host.grpcPort, authority, forged), { code: "UNAVAILABLE" });
    await assert.rejects(https(host.httpPort, evaluate, { ca: authority.cert, ...forged }, body));
    assert.deepEqual(host.seen, []);
  });
});

describe("TLS whose certificates are rotated under load", () => {
  it("fails no request, and serves the new ones to new connections", async () => {
    const host = await startTlsHost({ authority, server, clientRequired: { grpc: true, edge: true } });
    const own = authority.issue({ names: [`URI:${alice}`] });
    const credentials = { ca: authority.cert, ...own };
    const standing = clientOf(host.grpcPort, authority, own);
    const session = connectHttp2(`https://localhost:${host.httpPort}`, credentials);
    // In advance: openssl would hold up the load.
    const next = [1, 2, 3].map(() => authority.issue({ names: ["DNS:localhost"] }));
    let done = false;
    const load = async (call: () => Promise<unknown>): Promise<number> => {
      let calls = 0;
      for (; !done; calls += 1) assert.deepEqual(await call(), "sync");
      return calls;
    };
    const idOf = ([status, answer]: [number, string]): unknown =>
      status === 200 ? JSON.parse(answer).decisionId : answer;
    const loads = Promise.all([
      load(async () => (await standing.evaluate(evaluateRequest({ id: "sync" }))).decisionId),
      load(() => grpcOnce(host.grpcPort, authority, own)),
      load(async () => idOf(await http2(session, evaluate, body))),
      load(async () => idOf(await https(host.httpPort, evaluate, credentials, body))),
    ]).finally(() => {
      done = true;
    });
    try {
      for (const leaf of next) {
        swapFiles(host.directory, { "tls.crt": leaf.cert, "tls.key": leaf.key, "ca.crt": authority.cert });
        for (const port of [host.grpcPort, host.httpPort]) {
          await eventually(async () => {
            const socket = await handshake(port, credentials);
            const served = socket.getPeerX509Certificate()?.toString();
            socket.destroy();
            assert.equal(served?.trim(), leaf.cert.trim());
          });
        }
      }
      // A pair that does not fit serves nobody.
      host.directory.write("tls.key", own.key);
      await eventually(() => assert.match(host.readiness.report().checks["tls-server"]?.detail ?? "", /not taken/));
      done = true;
      for (const calls of await loads) assert.ok(calls > 0);
    } finally {
      done = true;
      await loads.catch(() => {});
      standing.close();
      session.destroy();
      await host.close();
    }
  });

  it("takes clients of a new authority, and those of the old one no more", async () => {
    const host = await startTlsHost({ authority, server, clientRequired: { grpc: true, edge: true } });
    const next = createAuthority("next");
    const [old, fresh] = [authority, next].map((issuer) => issuer.issue({ names: [`URI:${alice}`] }));
    const standing = clientOf(host.grpcPort, authority, old);
    const works = async (): Promise<unknown> => standing.evaluate(evaluateRequest({ id: "sync" }));
    await works();
    await assert.rejects(grpcOnce(host.grpcPort, authority, fresh));
    const put = (ca: string): void =>
      swapFiles(host.directory, { "tls.crt": server.cert, "tls.key": server.key, "ca.crt": ca });
    put(`${authority.cert}${next.cert}`);
    await eventually(() => grpcOnce(host.grpcPort, authority, fresh));
    await grpcOnce(host.grpcPort, authority, old);
    put(next.cert);
    await eventually(() => assert.rejects(grpcOnce(host.grpcPort, authority, old)));
    await grpcOnce(host.grpcPort, authority, fresh);
    await works();
    standing.close();
    await host.close();
  });
});
