import { type Finding, findingsOf } from "./finding.ts";

/** The mesh's own settings (https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/). */
export interface MeshConfig {
  readonly path: string;
  // biome-ignore lint/suspicious/noExplicitAny: Settings are looked into as they are written.
  readonly settings: any;
  // biome-ignore lint/suspicious/noExplicitAny: As above.
  readonly providers: ReadonlyMap<string, any>;
}

/** A check has to be answered within it; beyond, a protected workload waits for a service that is gone. */
const maxTimeoutSeconds = 1;

/** Whether the mesh's settings fail closed, and let policies see one form of a path. */
export function judgeMeshConfig({ path, settings, providers }: MeshConfig, into: Finding[]): void {
  const say = findingsOf(path, into);
  const external = [...providers.values()].filter((each) => each.envoyExtAuthzGrpc ?? each.envoyExtAuthzHttp);
  if (external.length === 0) {
    say.problem(
      "provider",
      "meshConfig.extensionProviders has no external authorizer",
      "Add the provider of docs/install-istio.md, step 2.",
    );
  }
  for (const provider of external) {
    const name = `provider ${provider.name}`;
    const { envoyExtAuthzGrpc: grpc } = provider;
    if (grpc === undefined) {
      say.problem("provider", `${name} asks by HTTP: auth-service answers Check by gRPC`, "Use envoyExtAuthzGrpc.");
      continue;
    }
    if (grpc.failOpen === true) {
      say.problem(
        "fail-closed",
        `${name} fails open: while auth-service is away, every request is let through`,
        "Set failOpen: false.",
      );
    } else say.ok("fail-closed", `${name} fails closed`);
    if (String(grpc.statusOnError ?? "403") !== "503") {
      say.warning(
        "status",
        `${name} answers trouble with ${grpc.statusOnError ?? "403"}, as if it were a decision`,
        'Set statusOnError: "503".',
      );
    }
    const seconds = secondsOf(grpc.timeout);
    if (seconds === undefined || seconds > maxTimeoutSeconds) {
      say.warning(
        "timeout",
        `${name} waits ${grpc.timeout ?? "600s (the default)"} for an answer`,
        "Set timeout: 0.250s.",
      );
    }
    if (!/^([a-z0-9-]+\/)?[a-z0-9-]+\.[a-z0-9-]+\.svc\./.test(String(grpc.service))) {
      say.problem(
        "provider",
        `${name} does not name a service in full: ${grpc.service}`,
        "Write NAMESPACE/auth-service.NAMESPACE.svc.cluster.local: a short name is not found, and everything is denied.",
      );
    }
  }
  const normalization = settings.pathNormalization?.normalization ?? "BASE";
  if (normalization !== "DECODE_AND_MERGE_SLASHES") {
    say.warning(
      "path",
      `pathNormalization is ${normalization}: %2F and // may get around rules on paths`,
      "Set pathNormalization.normalization: DECODE_AND_MERGE_SLASHES.",
    );
  }
}

function secondsOf(duration: unknown): number | undefined {
  const [, count, unit] = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(String(duration)) ?? [];
  if (count === undefined) return undefined;
  return Number(count) * (unit === "ms" ? 0.001 : unit === "m" ? 60 : 1);
}
