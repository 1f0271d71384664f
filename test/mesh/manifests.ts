/**
 * Holds the manifests to the tools that will read them: kustomize, the Kubernetes schemas, istioctl, promtool and Envoy.
 *
 * Run it with `node --test test/mesh/manifests.ts`; what is missing is installed (tools.ts).
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { type CommandOptions, runCommand } from "./command.ts";
import { createEnvoyConfig } from "./envoy-config.ts";
import { ensureTool, type ToolName } from "./tools.ts";

const root = join(import.meta.dirname, "..", "..");
const k8s = join(root, "k8s");
const kustomizations = ["overlays/dev", "overlays/prod", "istio/protect"];
/** The oldest and the newest Kubernetes that the manifests are for. */
const kubernetesVersions = ["1.32.0", "1.37.0"];

let scratch: string;
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), "gatehouse-manifests-"));
});
after(async () => {
  await rm(scratch, { recursive: true, force: true });
});

/** Runs a tool that must succeed, and gives all it printed. */
async function tool(name: ToolName, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await runCommand(await ensureTool(name), args, options);
  assert.equal(code, 0, `${name} ${args.join(" ")}\n${stdout}${stderr}`);
  return stdout + stderr;
}

async function write(name: string, text: string): Promise<string> {
  const path = join(scratch, name);
  await writeFile(path, text);
  return path;
}

async function render(kustomization: string): Promise<string> {
  const { code, stdout, stderr } = await runCommand(await ensureTool("kustomize"), ["build", join(k8s, kustomization)]);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, "", "kustomize warns");
  return await write(`${kustomization.replace("/", "-")}.yaml`, stdout);
}

async function meshConfig(): Promise<string> {
  const controlPlane = parse(await readFile(join(k8s, "istio/control-plane.yaml"), "utf8"));
  return await write("mesh.yaml", JSON.stringify(controlPlane.spec.meshConfig));
}

async function analyze(...paths: string[]): Promise<readonly { readonly code: string; readonly message: string }[]> {
  // Without --all-namespaces it looks at the namespace "default" alone, and finds all well.
  const where = ["--all-namespaces", "--use-kube=false", "--meshConfigFile", await meshConfig()];
  const args = ["analyze", ...where, "--output", "json", ...paths];
  const { stdout, stderr } = await runCommand(await ensureTool("istioctl"), args);
  assert.match(stdout, /^\s*\[/, stderr);
  return JSON.parse(stdout);
}

for (const kustomization of kustomizations) {
  test(`${kustomization} renders and istioctl finds nothing to say about it`, async () => {
    const path = await render(kustomization);
    const said = await tool("istioctl", ["validate", "-f", path]);
    assert.equal(said.trim(), `"${path}" is valid`);
    assert.deepEqual(await analyze(path), []);
  });
}

for (const version of kubernetesVersions) {
  test(`plain objects meet the strict schemas of Kubernetes ${version}`, async () => {
    const program = await ensureTool("kubernetes-validate");
    for (const kustomization of kustomizations.slice(0, 2)) {
      const path = await render(kustomization);
      const plain = parseAllDocuments(await readFile(path, "utf8")).filter((document) => {
        const apiVersion = String(document.get("apiVersion"));
        return !/(istio\.io|monitoring\.coreos\.com)\//.test(apiVersion);
      });
      assert.ok(plain.length > 10);
      const file = await write(`plain-${version}.yaml`, plain.map(String).join(""));
      const said = await tool("kubernetes-validate", ["--strict", "-k", version, file], {
        env: { PYTHONPATH: dirname(dirname(program)) },
      });
      assert.equal(said.match(/^INFO .* passed /gm)?.length, plain.length, said);
    }
  });
}

test("istioctl would notice a wrong type and a reference to what is not there", async () => {
  const rules = await readFile(join(k8s, "istio/destination-rules.yaml"), "utf8");
  const mistyped = await write("mistyped.yaml", rules.replace("interval: 5s", "interval: often"));
  const { code } = await runCommand(await ensureTool("istioctl"), ["validate", "-f", mistyped]);
  assert.notEqual(code, 0);
  const prod = await readFile(await render("overlays/prod"), "utf8");
  const dangling = await write(
    "dangling.yaml",
    prod.replace("  gateways:\n  - gatehouse\n", "  gateways:\n  - gatehose\n"),
  );
  assert.notDeepEqual(await analyze(dangling), []);
});

test("the control plane's settings are valid, render, and go with all the rest", async () => {
  const path = join(k8s, "istio/control-plane.yaml");
  await tool("istioctl", ["validate", "-f", path]);
  const { code, stdout, stderr } = await runCommand(await ensureTool("istioctl"), ["manifest", "generate", "-f", path]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /envoyExtAuthzGrpc:/);
  assert.match(stdout, /meshId: gatehouse-mesh/);
  assert.match(stdout, /statusOnError: "503"/);
  const controlPlane = await write("control-plane.yaml", stdout);
  const mesh = await Promise.all(["overlays/prod", "istio/protect"].map(render));
  assert.deepEqual(await analyze(...mesh, controlPlane), []);
});

test("promtool accepts the rules, and the alerts fire as their tests say", async () => {
  const { spec } = parse(await readFile(join(k8s, "monitoring/rules.yaml"), "utf8"));
  const rules = await write("rules.json", JSON.stringify(spec));
  await tool("promtool", ["check", "rules", rules]);
  const tests = await write("rules-test.yaml", await readFile(join(k8s, "monitoring/rules-test.yaml"), "utf8"));
  await tool("promtool", ["test", "rules", tests]);
});

test("every query of the dashboard parses", async () => {
  const dashboard = JSON.parse(await readFile(join(k8s, "monitoring/dashboards/gatehouse.json"), "utf8"));
  const queries: string[] = dashboard.panels.flatMap((panel: { targets?: { expr: string }[] }) =>
    (panel.targets ?? []).map(({ expr }) => expr.replaceAll("$__rate_interval", "1m")),
  );
  assert.ok(queries.length >= 15);
  const rules = queries.map((expr, index) => ({ record: `query:${index}`, expr }));
  const file = await write("queries.json", JSON.stringify({ groups: [{ name: "queries", rules }] }));
  await tool("promtool", ["check", "rules", file]);
});

test("Envoy accepts the proxy of the mesh tests", async () => {
  const config = createEnvoyConfig({
    listenPort: 10_000,
    adminPort: 10_001,
    authGrpc: [{ port: 50_051 }, { port: 50_061 }],
    authHttp: [{ port: 8_081 }, { port: 8_091 }],
    upstream: [{ port: 9_000 }],
    issuer: "https://auth.example.com",
  });
  const file = await write("envoy.json", JSON.stringify(config));
  const said = await tool("envoy", ["--mode", "validate", "-c", file, "--log-level", "warning"]);
  assert.doesNotMatch(said, /deprecated/i);
});
