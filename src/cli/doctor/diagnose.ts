import type { ClientTls } from "../../shared/client/channel.ts";
import { judgeAgreement, judgeRevisions } from "./agreement.ts";
import { judgeCertificate } from "./certificates.ts";
import { type Finding, findingsOf } from "./finding.ts";
import { causeOf } from "./http-get.ts";
import { judgeReplica } from "./judge-replica.ts";
import { judgeOAuth } from "./oauth.ts";
import { type ProbeOptions, probe, serverNameOf } from "./probe.ts";
import { type Replica, resolveReplicas, type ServiceName } from "./replica.ts";

/** The places of each service, as they are typed. */
export interface Places {
  readonly auth: readonly string[];
  readonly policy: readonly string[];
}

/** Looks at every replica by itself, then at whether they agree. */
export async function diagnose(places: Places, options: ProbeOptions, token: string | undefined): Promise<Finding[]> {
  const findings: Finding[] = [];
  const auth = await resolveAll("auth-service", places.auth, findings);
  const policy = await resolveAll("policy-service", places.policy, findings);
  const probes = await Promise.all([...auth, ...policy].map((replica) => probe(replica, options)));
  findings.push(...probes.flatMap(judgeReplica), ...judgeAgreement(probes));
  const policyProbes = probes.filter(({ replica }) => replica.service === "policy-service");
  findings.push(...(await judgeRevisions(policyProbes, options, token)));
  const answering = probes.filter(({ replica, readyz }) => replica.service === "auth-service" && "value" in readyz);
  findings.push(
    ...(await judgeOAuth(
      answering.map(({ replica }) => replica),
      options,
    )),
  );
  if (options.tls !== undefined) {
    for (const { replica } of probes) findings.push(...(await judgeTls(replica, options.tls, options.timeoutMs)));
  }
  return findings;
}

async function resolveAll(service: ServiceName, places: readonly string[], findings: Finding[]): Promise<Replica[]> {
  const replicas = new Map<string, Replica>();
  for (const place of places) {
    try {
      for (const replica of await resolveReplicas(service, place)) replicas.set(replica.label, replica);
    } catch (error) {
      if (error instanceof Error && error.name === "UsageError") throw error;
      findingsOf(`${service} ${place}`, findings).problem(
        "dns",
        `the name cannot be resolved (${causeOf(error)})`,
        "Check the name; those of a cluster are known only inside it: run this in a pod, or forward the ports.",
      );
    }
  }
  return [...replicas.values()];
}

async function judgeTls(replica: Replica, tls: ClientTls, timeoutMs: number): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const port of [replica.grpcPort, replica.httpPort]) {
    const subject = `${replica.label} port ${port}`;
    const place = { subject, address: replica.address, port, serverName: serverNameOf(replica, tls) };
    findings.push(...(await judgeCertificate(place, { ca: tls.certificates.current.ca?.certs, timeoutMs })));
  }
  return findings;
}
