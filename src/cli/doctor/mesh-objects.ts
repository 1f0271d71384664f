import { type Finding, findingsOf } from "./finding.ts";
import type { Manifest } from "./manifests.ts";

/** Looks at one object; `providers` is undefined when the mesh's are not known. */
export function judgeObject(manifest: Manifest, providers: ReadonlySet<string> | undefined, into: Finding[]): void {
  const { path, kind, name, body } = manifest;
  const say = findingsOf(`${path} ${kind}/${name}`, into);
  const spec = body.spec ?? {};
  switch (kind) {
    case "AuthorizationPolicy": {
      if (spec.action !== "CUSTOM") return;
      const provider = String(spec.provider?.name ?? "");
      if (providers !== undefined && !providers.has(provider)) {
        const known = [...providers].join(", ") || "none";
        say.problem(
          "provider",
          `names the provider ${provider}, which the mesh does not have (${known}): everything is denied, unexplained`,
          "Give the name under meshConfig.extensionProviders; they have to be equal to the letter.",
        );
      } else if (providers !== undefined) say.ok("provider", `names the provider ${provider}, which the mesh has`);
      if (!Array.isArray(spec.rules) || spec.rules.length === 0) {
        say.problem(
          "rules",
          "has no rules, so it matches nothing and protects nothing",
          "Write rules: [{}] for all requests.",
        );
      }
      return;
    }
    case "PeerAuthentication": {
      const mode = spec.mtls?.mode;
      if (mode === "DISABLE" || mode === "PERMISSIVE") {
        say.problem(
          "mtls",
          `lets plain text in: mtls.mode is ${mode}`,
          "Set STRICT, and PERMISSIVE for single ports at most.",
        );
      }
      for (const [port, { mode: portMode }] of Object.entries<{ mode?: string }>(spec.portLevelMtls ?? {})) {
        if (portMode === "DISABLE" || (portMode === "PERMISSIVE" && /^500(51|52)$/.test(port))) {
          say.problem(
            "mtls",
            `lets plain text in on port ${port}`,
            "Set STRICT: the gRPC ports are for the mesh alone.",
          );
        }
      }
      return;
    }
    case "Service": {
      if (!/^(auth|policy)-service$/.test(name)) return;
      if (spec.clusterIP === "None") {
        say.problem(
          "service",
          "is headless: sidecars lose consistent hashing and automatic mutual TLS",
          "Leave out clusterIP; give a second, headless Service for other uses.",
        );
      }
      for (const port of spec.ports ?? []) {
        if (port.appProtocol === undefined && !/^(grpc|http2?)(-|$)/.test(port.name ?? "")) {
          say.problem(
            "service",
            `does not say what port ${port.port} speaks`,
            "Set appProtocol: grpc (or http for the edge).",
          );
        }
      }
      return;
    }
    case "DestinationRule": {
      if (!/^(auth|policy)-service(\.|$)/.test(String(spec.host))) return;
      if (spec.trafficPolicy?.connectionPool?.http?.maxRequestsPerConnection > 0) {
        say.warning(
          "connections",
          "closes HTTP/2 connections by a number of requests (maxRequestsPerConnection)",
          "Leave it out: the services close connections by age (GRPC_MAX_CONNECTION_AGE).",
        );
      }
      if (spec.trafficPolicy?.tls?.mode === "DISABLE") {
        say.problem("mtls", "turns mutual TLS off", "Leave out trafficPolicy.tls, or set ISTIO_MUTUAL.");
      }
      return;
    }
  }
}
