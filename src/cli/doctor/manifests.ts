import { glob, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { CommandError } from "../command.ts";
import { type Finding, findingsOf } from "./finding.ts";
import { causeOf } from "./http-get.ts";
import { judgeMeshConfig, type MeshConfig } from "./mesh-config.ts";
import { judgeObject } from "./mesh-objects.ts";

/** A Kubernetes object as it is written, and where. */
export interface Manifest {
  readonly path: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: Objects are looked into as they are written.
  readonly body: any;
}

/** More than any install has. */
const maxFiles = 2_000;

/**
 * Whether manifests, plain or rendered, say what docs/install-istio.md asks for.
 *
 * @throws CommandError when there are none.
 */
export async function judgeManifests(directory: string): Promise<Finding[]> {
  const findings: Finding[] = [];
  const manifests = await readManifests(directory, findings);
  if (manifests.length === 0) throw new CommandError(`There is no Kubernetes object in ${directory}.`);
  const meshes = manifests.flatMap((manifest) => meshConfigOf(manifest, findings));
  for (const mesh of meshes) judgeMeshConfig(mesh, findings);
  const say = findingsOf(directory, findings);
  if (meshes.length === 0) {
    say.skipped(
      "mesh",
      "there is no mesh configuration here, so provider names cannot be checked",
      "Add the IstioOperator, or `kubectl -n istio-system get configmap istio -o yaml`, to the directory.",
    );
  }
  const providers = meshes.length === 0 ? undefined : new Set(meshes.flatMap(({ providers }) => [...providers.keys()]));
  for (const manifest of manifests) judgeObject(manifest, providers, findings);
  if (!manifests.some(isStrictDefault)) {
    say.warning(
      "mtls",
      "no PeerAuthentication makes mutual TLS STRICT for a whole namespace",
      "Apply k8s/istio/peer-authentication.yaml: without it, plain text from outside the mesh is accepted.",
    );
  }
  if (findings.every(({ level }) => level === "ok" || level === "skipped")) {
    say.ok("manifests", `${manifests.length} objects are as they should be`);
  }
  return findings;
}

function isStrictDefault({ kind, body }: Manifest): boolean {
  return kind === "PeerAuthentication" && body.spec?.selector === undefined && body.spec?.mtls?.mode === "STRICT";
}

async function readManifests(directory: string, findings: Finding[]): Promise<Manifest[]> {
  const paths: string[] = [];
  for await (const path of glob("**/*.{yaml,yml}", { cwd: directory })) {
    if (paths.push(path) > maxFiles) throw new CommandError(`More than ${maxFiles} YAML files in ${directory}.`);
  }
  const manifests: Manifest[] = [];
  for (const path of paths.sort()) {
    for (const document of parseAllDocuments(await readFile(join(directory, path), "utf8"))) {
      const [error] = document.errors;
      if (error !== undefined) {
        findingsOf(path, findings).problem("yaml", error.message.split("\n")[0] ?? "", "Mend the YAML.");
        continue;
      }
      const body = document.toJS();
      // `kubectl get -o yaml` of several answers a List.
      for (const each of body?.kind === "List" && Array.isArray(body.items) ? body.items : [body]) {
        if (typeof each?.kind !== "string") continue;
        const { name = "", namespace } = each.metadata ?? {};
        manifests.push({ path, kind: each.kind, name: String(name), namespace, body: each });
      }
    }
  }
  return manifests;
}

/** The mesh's settings, from an IstioOperator or from the ConfigMap that istiod reads. */
function meshConfigOf({ kind, name, path, body }: Manifest, findings: Finding[]): MeshConfig[] {
  const providersOf = (settings: MeshConfig["settings"]): MeshConfig => ({
    path,
    settings,
    providers: new Map((settings?.extensionProviders ?? []).map((each: { name: string }) => [each.name, each])),
  });
  if (kind === "IstioOperator") return [providersOf(body.spec?.meshConfig ?? {})];
  if (kind !== "ConfigMap" || !/^istio(-|$)/.test(name) || typeof body.data?.mesh !== "string") return [];
  try {
    return [providersOf(parseAllDocuments(body.data.mesh)[0]?.toJS() ?? {})];
  } catch (error) {
    findingsOf(path, findings).problem("mesh", `data.mesh is not YAML (${causeOf(error)})`, "Mend it.");
    return [];
  }
}
