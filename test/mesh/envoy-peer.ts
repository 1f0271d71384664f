/** Who makes a call, by what a real Envoy writes into `x-forwarded-client-cert`. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AuthService } from "../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { type AuthServer, startAuthServer } from "../support/auth-server.ts";
import { freePort } from "../support/ports.ts";
import { type CertificateFiles, createWorkloadAuthority, type WorkloadAuthority } from "./certificates.ts";
import { runCommand } from "./command.ts";
import { type Envoy, startEnvoy } from "./envoy.ts";
import { address, type Json } from "./envoy-settings.ts";

const id = (name: string): string => `spiffe://cluster.local/ns/shop/sa/${name}`;
const directory = mkdtempSync(join(tmpdir(), "gatehouse-peer-"));
let authority: WorkloadAuthority;
let server: AuthServer;
let envoy: Envoy;
let port: number;

before(async () => {
  authority = createWorkloadAuthority(directory);
  const env = { PEER_TRUST_DOMAINS: "cluster.local", PEER_GATEWAYS: id("gateway"), TRUSTED_PROXIES: "127.0.0.1" };
  server = await startAuthServer({ env });
  const adminPort = await freePort();
  port = await freePort();
  envoy = await startEnvoy(sidecar(authority.issue("auth", id("auth")), adminPort), adminPort);
});
after(async () => {
  await envoy?.close();
  await server?.close();
  rmSync(directory, { recursive: true, force: true });
});

/** A sidecar of auth-service as Istio has it, with the mode PERMISSIVE: peers may come without a certificate. */
function sidecar({ cert, key }: CertificateFiles, adminPort: number): Json {
  const api = "type.googleapis.com/envoy.extensions";
  const [host = "", upstream = ""] = server.grpcAddress.split(":");
  const manager = {
    "@type": `${api}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: "peer",
    forward_client_cert_details: "APPEND_FORWARD",
    set_current_client_cert_details: { subject: true, uri: true, dns: true, cert: true },
    http_filters: [{ name: "router", typed_config: { "@type": `${api}.filters.http.router.v3.Router` } }],
    route_config: {
      virtual_hosts: [
        { name: "auth", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: "auth" } }] },
      ],
    },
  };
  const tls = {
    "@type": `${api}.transport_sockets.tls.v3.DownstreamTlsContext`,
    common_tls_context: {
      alpn_protocols: ["h2"],
      tls_certificates: [{ certificate_chain: { filename: cert }, private_key: { filename: key } }],
      validation_context: { trusted_ca: { filename: authority.cert } },
    },
  };
  const http2 = {
    "@type": `${api}.upstreams.http.v3.HttpProtocolOptions`,
    explicit_http_config: { http2_protocol_options: {} },
  };
  const endpoint = { address: { socket_address: { address: host, port_value: Number(upstream) } } };
  return {
    admin: { address: address(adminPort) },
    static_resources: {
      listeners: [
        {
          name: "peer",
          address: address(port),
          filter_chains: [
            {
              filters: [{ name: "manager", typed_config: manager }],
              transport_socket: { name: "tls", typed_config: tls },
            },
          ],
        },
      ],
      clusters: [
        {
          name: "auth",
          type: "STATIC",
          typed_extension_protocol_options: { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2 },
          load_assignment: { cluster_name: "auth", endpoints: [{ lb_endpoints: [{ endpoint }] }] },
        },
      ],
    },
  };
}

/** The principal as whom somebody is known; `nobody` when the credential is refused. */
async function peerOf(caller: CertificateFiles | undefined, header?: string): Promise<string> {
  const files = caller === undefined ? {} : { cert: readFileSync(caller.cert), key: readFileSync(caller.key) };
  const nodeOptions = { ...files, rejectUnauthorized: false };
  const client = createClient(AuthService, createGrpcTransport({ baseUrl: `https://127.0.0.1:${port}`, nodeOptions }));
  const headers = header === undefined ? {} : { headers: { "x-forwarded-client-cert": header } };
  try {
    const { principal } = await client.authenticate({ credential: { case: "peer", value: {} } }, headers);
    return `${principal?.type} ${principal?.id}`;
  } catch (error) {
    assert.equal((error as { code?: number }).code, 16, String(error));
    return "nobody";
  }
}

test("a workload is who its certificate says, whatever it writes into the header itself", async () => {
  const web = authority.issue("web", id("web"));
  const expected = `Workload ${id("web")}`;
  assert.equal(await peerOf(web), expected);
  for (const header of [`URI=${id("admin")}`, `By=x;Hash=aa;Subject="";URI=${id("admin")},URI=${id("admin")}`]) {
    assert.equal(await peerOf(web, header), expected, header);
  }
  for (const header of [
    'Subject="x',
    'Subject="x\\',
    `URI=${id("admin")};Subject="x`,
    `URI=${id("admin")};Subject="x\\"`,
    "URI=",
    ";",
    "x",
  ]) {
    assert.ok(["nobody", expected].includes(await peerOf(web, header)), header);
  }
});

test("a subject with quotes, commas and semicolons changes nothing", async () => {
  const [cert, key] = [join(directory, "odd.crt"), join(directory, "odd.key")];
  const { code, stderr } = await runCommand("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"],
    ...["-subj", `/CN=a"b;URI=${id("admin").replaceAll("/", "\\/")},"c\\\\`],
    ...["-CA", authority.cert, "-CAkey", authority.key, "-keyout", key, "-out", cert],
    ...["-addext", `subjectAltName=URI:${id("odd")},DNS:a.example`, "-addext", "basicConstraints=CA:FALSE"],
  ]);
  assert.equal(code, 0, stderr);
  const expected = `Workload ${id("odd")}`;
  assert.equal(await peerOf({ cert, key }), expected);
  assert.ok(["nobody", expected].includes(await peerOf({ cert, key }, 'Subject="x')));
});

test("without a certificate, and with that of a gateway, nobody is anybody", async () => {
  assert.equal(await peerOf(undefined), "nobody");
  assert.equal(await peerOf(undefined, `By=x;Hash=aa;URI=${id("admin")}`), "nobody");
  const gateway = authority.issue("gateway", id("gateway"));
  assert.equal(await peerOf(gateway), "nobody");
  assert.equal(await peerOf(gateway, `URI=${id("admin")}`), "nobody");
  assert.equal(await peerOf(authority.issue("stranger", "spiffe://elsewhere/ns/shop/sa/web")), "nobody");
});
