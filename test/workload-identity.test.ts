/** Kubernetes service-account tokens from an API server of the tests, and peers behind proxies. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AuthService } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { type AuthServer, startAuthServer } from "./support/auth-server.ts";
import { type Authority, createAuthority, type Leaf } from "./support/certificates.ts";
import { type Claims, startIssuer, type TestIssuer, type TestIssuerOptions } from "./support/issuer.ts";
import { until } from "./support/until.ts";

const directory = mkdtempSync(join(tmpdir(), "gatehouse-cluster-"));
after(() => rmSync(directory, { recursive: true }));

function write(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

async function refusal(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => ConnectError.from(thrown),
  );
  if (error === undefined) return "accepted";
  return `${Code[error.code]} ${error.findDetails(ErrorInfoSchema)[0]?.reason}`;
}

const authority = createAuthority("the cluster");
const loopback = (by: Authority): Leaf => by.issue({ names: ["IP:127.0.0.1"], usage: "serverAuth" });

const notValid = "Unauthenticated CREDENTIAL_NOT_VALID";
const unavailable = "Unavailable ISSUER_UNAVAILABLE";
const name = "https://kubernetes.default.svc.cluster.local";
const bound = {
  sub: "system:serviceaccount:shop:web",
  "kubernetes.io": {
    namespace: "shop",
    serviceaccount: { name: "web", uid: "sa-uid" },
    pod: { name: "web-7d9f", uid: "pod-uid" },
    node: { name: "node-1", uid: "node-uid" },
    warnafter: 1,
  },
};

/** A token of a workload, its claims changed. */
const claimsOf = (kubernetes: object, sub: unknown = bound.sub): Claims => ({
  sub,
  "kubernetes.io": { ...bound["kubernetes.io"], ...kubernetes },
});

async function withCluster(
  entry: object,
  work: (cluster: TestIssuer, server: AuthServer) => Promise<void>,
  options: TestIssuerOptions = {},
): Promise<void> {
  const tls = loopback(authority);
  write("ca.crt", authority.cert);
  write("token", "the-token-of-auth-service\n");
  const cluster = await startIssuer({ tls, name, ...options });
  await cluster.addKey("cluster");
  const issuers = write(
    "issuers.yaml",
    JSON.stringify({
      version: 1,
      issuers: [
        {
          issuer: options.name ?? name,
          audience: "gatehouse",
          jwksUri: `${cluster.url}/openid/v1/jwks`,
          caFile: join(directory, "ca.crt"),
          tokenFile: join(directory, "token"),
          keys: { cooldown: "1s" },
          kubernetes: { trustDomain: "cluster.local" },
          ...entry,
        },
      ],
    }),
  );
  const server = await startAuthServer({ env: { AUTH_ISSUERS: issuers } });
  try {
    await work(cluster, server);
  } finally {
    await server.close();
    await cluster.goDown();
  }
}

const authenticate = (server: AuthServer, token: string) =>
  server.client.authenticate({ credential: { case: "externalToken", value: token } });

describe("a Kubernetes service-account token", () => {
  it("makes a workload of the name that its certificate has, with what it is bound to", async () => {
    await withCluster({}, async (cluster, server) => {
      const { principal } = await authenticate(server, await cluster.sign(bound));
      assert.deepEqual([principal?.type, principal?.id], ["Workload", "spiffe://cluster.local/ns/shop/sa/web"]);
      assert.deepEqual(principal?.attributes, {
        namespace: "shop",
        serviceAccount: { name: "web", uid: "sa-uid" },
        pod: { name: "web-7d9f", uid: "pod-uid" },
        node: { name: "node-1", uid: "node-uid" },
      });
      assert.deepEqual([...new Set(cluster.authorizations)], ["Bearer the-token-of-auth-service"]);
      for (const [what, claims] of Object.entries({
        "a subject of another account": claimsOf({}, "system:serviceaccount:shop:admin"),
        "a subject that is no account": claimsOf({}, "web"),
        "a name that goes elsewhere": claimsOf(
          { serviceaccount: { name: "a/../b" } },
          "system:serviceaccount:shop:a/../b",
        ),
        "a namespace in upper case": claimsOf({ namespace: "Shop" }, "system:serviceaccount:Shop:web"),
        "no namespace": claimsOf({ namespace: undefined }),
        "no claims of Kubernetes": { sub: bound.sub },
        "another audience": { ...bound, aud: "https://kubernetes.default.svc" },
        "no expiry, as those of long ago": { ...bound, exp: undefined },
      })) {
        assert.equal(await refusal(authenticate(server, await cluster.sign(claims))), notValid, what);
      }
    });
  });

  it("is without attributes where they are not wanted", async () => {
    await withCluster({ kubernetes: { trustDomain: "mesh.example", attributes: false } }, async (cluster, server) => {
      const { principal } = await authenticate(server, await cluster.sign(bound));
      assert.deepEqual([principal?.id, principal?.attributes], ["spiffe://mesh.example/ns/shop/sa/web", {}]);
    });
  });

  it("is neither accepted nor refused while the API server cannot be trusted", async () => {
    await withCluster({ caFile: write("other.crt", createAuthority("another").cert) }, async (cluster, server) => {
      const token = await cluster.sign(bound);
      assert.equal(await refusal(authenticate(server, token)), unavailable);
      assert.deepEqual(cluster.authorizations, [], "nothing was shown to it");
      write("other.crt", authority.cert);
      await until("the token is accepted", async () => (await refusal(authenticate(server, token))) === "accepted");
    });
    await withCluster({ tokenFile: join(directory, "absent") }, async (cluster, server) => {
      const token = await cluster.sign(bound);
      assert.equal(await refusal(authenticate(server, token)), unavailable);
      write("absent", "now it is there");
      await until("the token is accepted", async () => (await refusal(authenticate(server, token))) === "accepted");
      rmSync(join(directory, "absent"));
    });
  });

  it("is verified by what its issuer publishes, to which the token is not shown when it is another server", async () => {
    const tls = loopback(authority);
    const elsewhere = await startIssuer({ tls });
    const key = await elsewhere.addKey("public");
    try {
      const issuer = await startIssuer({ tls });
      const issuers = write(
        "public.yaml",
        JSON.stringify({
          version: 1,
          issuers: [
            {
              issuer: issuer.url,
              audience: "gatehouse",
              caFile: write("public.crt", authority.cert),
              tokenFile: write("public-token", "not for everybody"),
              kubernetes: { trustDomain: "cluster.local" },
            },
          ],
        }),
      );
      issuer.discovery = { issuer: issuer.url, jwks_uri: `${elsewhere.url}/keys` };
      const server = await startAuthServer({ env: { AUTH_ISSUERS: issuers } });
      try {
        const { principal } = await authenticate(server, await issuer.sign(bound, { key }));
        assert.equal(principal?.id, "spiffe://cluster.local/ns/shop/sa/web");
        assert.deepEqual([...new Set(issuer.authorizations)], ["Bearer not for everybody"]);
        assert.deepEqual([...new Set(elsewhere.authorizations)], [undefined]);
      } finally {
        await server.close();
        await issuer.goDown();
      }
    } finally {
      await elsewhere.goDown();
    }
  });
});

describe("a peer", () => {
  const web = "spiffe://cluster.local/ns/shop/sa/web";
  const header = (value: string) => ({ headers: { "x-forwarded-client-cert": value } });
  const asPeer = (server: AuthServer, value?: string) =>
    server.client.authenticate({ credential: { case: "peer", value: {} } }, value === undefined ? {} : header(value));

  async function withServer(env: Record<string, string>, work: (server: AuthServer) => Promise<void>): Promise<void> {
    const server = await startAuthServer({ env });
    try {
      await work(server);
    } finally {
      await server.close();
    }
  }

  it("is who a trusted proxy says that it is", async () => {
    const env = {
      PEER_TRUST_DOMAINS: "cluster.local",
      TRUSTED_PROXIES: "127.0.0.1",
      PEER_GATEWAYS: "spiffe://cluster.local/ns/istio-system/sa/gateway",
    };
    await withServer(env, async (server) => {
      const { principal } = await asPeer(server, `By=spiffe://cluster.local/ns/gatehouse/sa/auth;Hash=aa;URI=${web}`);
      assert.deepEqual([principal?.type, principal?.id, principal?.roles], ["Workload", web, []]);
      const forged = "By=x;URI=spiffe://cluster.local/ns/kube-system/sa/admin";
      assert.equal((await asPeer(server, `${forged},Hash=aa;URI=${web}`)).principal?.id, web);
      for (const value of [
        undefined,
        `URI=${web},${forged};DNS="`,
        `Subject="x,Hash=aa;URI=${web}`,
        `URI=${web},Hash=aa`,
        "URI=spiffe://elsewhere/ns/shop/sa/web",
        "URI=spiffe://cluster.local/ns/istio-system/sa/gateway",
        "URI=https://cluster.local/ns/shop/sa/web",
      ]) {
        assert.equal(await refusal(asPeer(server, value)), notValid, value);
      }
      const twice = new Headers();
      twice.append("x-forwarded-client-cert", forged);
      twice.append("x-forwarded-client-cert", `Hash=aa;URI=${web}`);
      const call = server.client.authenticate({ credential: { case: "peer", value: {} } }, { headers: twice });
      assert.equal((await call).principal?.id, web, "a header that comes twice ends as the proxy wrote it");
    });
  });

  it("is who its certificate says, whatever the header says", async () => {
    const mesh = createAuthority("the mesh");
    const identity = (id: string): Leaf => mesh.issue({ names: [`URI:${id}`], usage: "clientAuth" });
    const server = loopback(mesh);
    const gateway = "spiffe://cluster.local/ns/istio-system/sa/gateway";
    const env = {
      TLS_CERT_FILE: write("server.crt", server.cert),
      TLS_KEY_FILE: write("server.key", server.key),
      TLS_CLIENT_CA_FILE: write("mesh.crt", mesh.cert),
      TLS_SPIFFE_ALLOW: "spiffe://cluster.local/, spiffe://elsewhere/",
      PEER_TRUST_DOMAINS: "cluster.local",
      PEER_GATEWAYS: gateway,
      TRUSTED_PROXIES: "127.0.0.1",
    };
    await withServer(env, async ({ grpcAddress }) => {
      const asHolder = (leaf: Leaf, value?: string) => {
        const nodeOptions = { ca: mesh.cert, cert: leaf.cert, key: leaf.key };
        const transport = createGrpcTransport({ baseUrl: `https://${grpcAddress}`, nodeOptions });
        const headers = value === undefined ? {} : header(value);
        return createClient(AuthService, transport).authenticate({ credential: { case: "peer", value: {} } }, headers);
      };
      const forged = "URI=spiffe://cluster.local/ns/kube-system/sa/admin";
      assert.equal((await asHolder(identity(web))).principal?.id, web);
      assert.equal((await asHolder(identity(web), forged)).principal?.id, web);
      assert.equal((await asHolder(identity(gateway), `URI=${web}`)).principal?.id, web);
      assert.equal(await refusal(asHolder(identity(gateway))), notValid);
      assert.equal(await refusal(asHolder(identity("spiffe://elsewhere/ns/shop/sa/web"), `URI=${web}`)), notValid);
    });
  });

  it("is nobody when no trusted proxy says so", async () => {
    await withServer({ PEER_TRUST_DOMAINS: "cluster.local", TRUSTED_PROXIES: "10.0.0.0/8" }, async (server) => {
      assert.equal(await refusal(asPeer(server, `URI=${web}`)), notValid);
    });
    await withServer({ PEER_TRUST_DOMAINS: "cluster.local" }, async (server) => {
      assert.equal(await refusal(asPeer(server, `URI=${web}`)), notValid);
    });
  });

  it("is no credential where no trust domain is configured", async () => {
    await withServer({ TRUSTED_PROXIES: "127.0.0.1" }, async (server) => {
      assert.equal(await refusal(asPeer(server, `URI=${web}`)), "Unimplemented CREDENTIAL_NOT_SUPPORTED");
      const token = server.client.authenticate({ credential: { case: "externalToken", value: "a.b.c" } });
      assert.equal(await refusal(token), "Unimplemented CREDENTIAL_NOT_SUPPORTED");
    });
  });
});
