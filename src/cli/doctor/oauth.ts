import { rootCertificates } from "node:tls";
import { judgeCertificate } from "./certificates.ts";
import { type Finding, findingsOf } from "./finding.ts";
import { causeOf, httpGet } from "./http-get.ts";
import { asked, getPage, type ProbeOptions } from "./probe.ts";
import type { Replica } from "./replica.ts";

const paths = {
  jwks: "/.well-known/jwks.json",
  metadata: "/.well-known/oauth-authorization-server",
  openid: "/.well-known/openid-configuration",
} as const;

interface Documents {
  readonly keyIds: readonly string[];
  readonly issuer: string;
  readonly jwksUri: string;
}

/** Whether every auth-service publishes the same keys and the same metadata, and verifiers outside find them. */
export async function judgeOAuth(replicas: readonly Replica[], options: ProbeOptions): Promise<Finding[]> {
  const findings: Finding[] = [];
  const published: { readonly label: string; readonly documents: Documents }[] = [];
  for (const replica of replicas) {
    const say = findingsOf(replica.label, findings);
    const read = await asked(() => documentsOf(replica, options));
    if (!("value" in read)) {
      const remedy = "Look at readiness; without AUTH_ENCRYPTION_KEY (and AUTH_ISSUER) no tokens are issued.";
      say.problem("oauth", `the JWKS or the metadata cannot be read (${read.failure})`, remedy);
    } else if (read.value === undefined) {
      say.skipped("oauth", "issues no tokens", "Set AUTH_ISSUER and AUTH_ENCRYPTION_KEY to have them.");
    } else if (read.value.keyIds.length === 0) {
      say.problem("jwks", "publishes no signing key", "Its store may be away: look at readiness and the log.");
    } else {
      published.push({ label: replica.label, documents: read.value });
    }
  }
  const [first] = published;
  if (first === undefined) return findings;
  const say = findingsOf("auth-service", findings);
  const { issuer, jwksUri, keyIds } = first.documents;
  const odd = published.filter(({ documents }) => documents.issuer !== issuer || documents.jwksUri !== jwksUri);
  const foreign = published.filter(({ documents }) => documents.keyIds.join() !== keyIds.join());
  if (odd.length > 0) {
    say.problem(
      "oauth",
      `issuers differ: ${issuer} on ${first.label}, another on ${labels(odd)}`,
      "Set one AUTH_ISSUER on all.",
    );
  } else {
    say.ok("oauth", `all name the issuer ${issuer}`);
  }
  if (foreign.length > 0) {
    say.problem(
      "jwks",
      `published keys differ: ${first.label} and ${labels(foreign)}`,
      "Replicas that share a store publish the same keys within a minute: check that all have the same REDIS_URL and AUTH_ENCRYPTION_KEY.",
    );
  } else {
    say.ok("jwks", `all publish the same ${keyIds.length} keys`);
  }
  await judgePublic(first.documents, options, findings);
  return findings;
}

async function judgePublic(
  { issuer, jwksUri, keyIds }: Documents,
  options: ProbeOptions,
  into: Finding[],
): Promise<void> {
  const say = findingsOf(`issuer ${issuer}`, into);
  if (!jwksUri.startsWith(`${issuer}/`)) {
    say.problem("jwks", `jwks_uri is elsewhere: ${jwksUri}`, "A proxy has changed the metadata; serve it as it is.");
    return;
  }
  const { hostname, protocol, port } = new URL(issuer);
  if (protocol !== "https:" && hostname !== "localhost" && !hostname.startsWith("127.")) {
    say.warning(
      "issuer",
      "is not https: tokens and keys can be forged on the way",
      "Set AUTH_ISSUER to the https URL of the gateway.",
    );
  }
  const { timeoutMs, tls } = options;
  // The issuer's certificate may be a public one where those of the replicas are not.
  const ca = [...rootCertificates, ...[tls?.certificates.current.ca?.certs ?? []].flat()];
  try {
    const { status, body } = await httpGet(jwksUri, { timeoutMs, ca });
    const ids = status === 200 ? keyIdsOf(body) : undefined;
    if (ids?.join() === keyIds.join()) say.ok("jwks", "verifiers find the same keys at jwks_uri");
    else {
      say.problem(
        "jwks",
        `jwks_uri answers ${ids === undefined ? `status ${status}` : "other keys"} than the replicas`,
        "Route /.well-known/* of the issuer's host to auth-service, and let no cache hold it for longer than it says.",
      );
    }
  } catch (error) {
    say.warning(
      "jwks",
      `jwks_uri cannot be fetched from here (${causeOf(error)})`,
      "Verifiers need it: route the issuer's host to auth-service (k8s/istio/gateway.yaml). From inside the mesh this may be as intended.",
    );
  }
  if (protocol === "https:") {
    const address = hostname.replace(/^\[|\]$/g, "");
    const place = { subject: `issuer ${issuer}`, address, port: Number(port || 443), serverName: address };
    into.push(...(await judgeCertificate(place, { ca, timeoutMs })));
  }
}

/** Undefined when tokens are not issued: then there are no such pages. */
async function documentsOf(replica: Replica, options: ProbeOptions): Promise<Documents | undefined> {
  const [jwks, metadata, openid] = await Promise.all(
    [paths.jwks, paths.metadata, paths.openid].map((path) => getPage(replica, path, options)),
  );
  if (jwks?.status === 404 && metadata?.status === 404) return undefined;
  if (jwks?.status !== 200 || metadata?.status !== 200 || openid?.status !== 200) {
    throw new Error(`status ${jwks?.status}, ${metadata?.status} and ${openid?.status}`);
  }
  const [one, two] = [metadata, openid].map(({ body }) => JSON.parse(body) as Record<string, unknown>);
  const [issuer, jwksUri] = [String(one?.issuer), String(one?.jwks_uri)];
  if (two?.issuer !== issuer || two.jwks_uri !== jwksUri) throw new Error("the two metadata documents differ");
  return { issuer, jwksUri, keyIds: keyIdsOf(jwks.body) ?? [] };
}

function keyIdsOf(body: string): string[] | undefined {
  const { keys } = JSON.parse(body) as { keys?: unknown };
  return Array.isArray(keys) ? keys.map(({ kid }: { kid?: unknown }) => String(kid)).sort() : undefined;
}

function labels(found: readonly { readonly label: string }[]): string {
  return found.map(({ label }) => label).join(", ");
}
