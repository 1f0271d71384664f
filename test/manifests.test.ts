/** Holds the manifests to the code: ports, variables, flags, RPCs, metric names and links are those that exist. */
import assert from "node:assert/strict";
import { glob, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";
import { parseAllDocuments } from "yaml";
import { AuthService } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { SecondFactorService } from "../gen/gatehouse/auth/v1/second_factor_service_pb.ts";
import { PolicyAdminService } from "../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import { PolicyService } from "../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { parseMapping } from "../src/auth/check/mapping-file.ts";
import { createCheckMetrics } from "../src/auth/check-metrics.ts";
import { authFields } from "../src/auth/config.ts";
import { createRevocationMetrics } from "../src/auth/revocation-metrics.ts";
import { createTokenMetrics } from "../src/auth/token-metrics.ts";
import { policyFields } from "../src/policy/config.ts";
import { createAuditMetrics } from "../src/shared/audit/audit-metrics.ts";
import { createBusMetrics } from "../src/shared/bus/bus-metrics.ts";
import { type ConfigField, readConfig } from "../src/shared/config/config.ts";
import { createMetrics } from "../src/shared/metrics/metrics.ts";
import { Admission } from "../src/shared/rpc/admission/admission.ts";
import { defaultOverloadLimits } from "../src/shared/rpc/admission/overload-limits.ts";
import { observeAdmission } from "../src/shared/rpc/admission/overload-metrics.ts";

// biome-ignore lint/suspicious/noExplicitAny: Kubernetes objects are looked into as they are written.
type Manifest = any;

const root = join(import.meta.dirname, "..");
const read = (path: string): Promise<string> => readFile(join(root, path), "utf8");

const files: string[] = [];
for await (const path of glob("k8s/**/*.yaml", { cwd: root })) files.push(path);
const objects: Manifest[] = [];
for (const path of files) {
  for (const document of parseAllDocuments(await read(path))) objects.push(document.toJS());
}

function find(kind: string, name: string): Manifest {
  const found = objects.filter((object) => object.kind === kind && object.metadata?.name === name);
  assert.equal(found.length, 1, `${kind} ${name}`);
  return found[0];
}

type Field = ConfigField<unknown>;

/** What a Secret could hold. */
const secrets: Readonly<Record<string, string>> = {
  REDIS_URL: "redis://:secret@redis:6379/0",
  AUTH_ENCRYPTION_KEY: Buffer.alloc(32).toString("base64"),
};
const services = [
  { name: "auth-service", entry: "src/auth/main.ts", prefix: "AUTH", fields: authFields },
  { name: "policy-service", entry: "src/policy/main.ts", prefix: "POLICY", fields: policyFields },
].map((service) => {
  const fields = service.fields as unknown as Readonly<Record<string, Field>>;
  const byEnv = new Map(Object.values(fields).map((field) => [field.env, field]));
  const portOf = (kind: string): number => Number(byEnv.get(`${service.prefix}_${kind}_PORT`)?.fallback);
  const pod = find("Deployment", service.name).spec.template.spec;
  return { ...service, fields, byEnv, pod, container: pod.containers[0], grpc: portOf("GRPC"), http: portOf("HTTP") };
});

for (const { name, entry, fields, byEnv, pod, container, grpc, http } of services) {
  test(`${name}: ports are the configuration's defaults, everywhere`, () => {
    const named = (ports: Manifest[], key: string) => Object.fromEntries(ports.map((port) => [port.name, port[key]]));
    assert.deepEqual(named(container.ports, "containerPort"), { grpc, "http-edge": http });
    const { spec } = find("Service", name);
    assert.deepEqual(named(spec.ports, "port"), { grpc, "http-edge": http });
    assert.deepEqual(named(spec.ports, "appProtocol"), { grpc: "grpc", "http-edge": "http" });
    assert.notEqual(spec.clusterIP, "None");
    const routes = find("VirtualService", name).spec.http;
    const destinations = routes.flatMap((route: Manifest) =>
      route.route.map((to: Manifest) => to.destination.port.number),
    );
    assert.deepEqual(new Set(destinations), new Set([grpc, http]));
    const matched = routes.flatMap((route: Manifest) => route.match.map((match: Manifest) => match.port));
    assert.deepEqual(new Set(matched), new Set([grpc, http]));
    const rules = find("AuthorizationPolicy", name).spec.rules;
    const allowed = rules.flatMap((rule: Manifest) => rule.to.flatMap((to: Manifest) => to.operation.ports));
    assert.deepEqual(new Set(allowed), new Set([String(grpc), String(http)]));
    assert.deepEqual(Object.keys(find("PeerAuthentication", name).spec.portLevelMtls), [String(http)]);
    const ingress = find("NetworkPolicy", name).spec.ingress.flatMap((rule: Manifest) => rule.ports);
    assert.deepEqual(new Set(ingress.map((port: Manifest) => port.port)), new Set([grpc, http]));
  });

  test(`${name}: probes ask the right ports`, () => {
    assert.deepEqual(container.readinessProbe.grpc, { port: grpc });
    for (const probe of [container.startupProbe, container.livenessProbe]) {
      assert.deepEqual(probe.httpGet, { path: "/livez", port: "http-edge" });
    }
  });

  test(`${name}: the environment is one that the service accepts`, () => {
    const given: Record<string, string> = {};
    for (const variable of container.env) {
      const field = byEnv.get(variable.name);
      assert.ok(field, `${variable.name} is no variable of ${name}`);
      assert.equal(variable.value === undefined, field.sensitive === true, `${variable.name} by reference`);
      given[variable.name] = variable.value ?? secrets[variable.name] ?? "";
    }
    readConfig(fields, given);
    assert.equal(given.GATEHOUSE_PROFILE ?? "production", "production");
  });

  test(`${name}: the pod waits longer than the service drains`, () => {
    const drain = readConfig({ drain: byEnv.get("DRAIN_GRACE") as Field }, { DRAIN_GRACE: drainOf(container) });
    const pause = container.lifecycle.preStop.sleep.seconds;
    assert.ok(pod.terminationGracePeriodSeconds * 1_000 > pause * 1_000 + (drain.drain as number));
  });

  test(`${name}: heap flags fit the memory limit and are those of the image`, async () => {
    const [node, ...flags] = container.command;
    assert.equal(node, "node");
    assert.equal(flags.at(-1), entry);
    await read(entry);
    const dockerfile = await read("Dockerfile");
    assert.ok(
      dockerfile.includes(`ENTRYPOINT ${JSON.stringify(["node", ...flags.slice(0, -1)]).replaceAll(",", ", ")}`),
    );
    const size = (flag: string): number => Number(new RegExp(`--max-${flag}-size=(\\d+)`).exec(flags.join(" "))?.[1]);
    // The young generation is three semi-spaces.
    assert.ok(size("old-space") + 3 * size("semi-space") < Number.parseInt(container.resources.limits.memory, 10));
  });

  test(`${name}: runs without privileges`, () => {
    assert.equal(pod.securityContext.runAsNonRoot, true);
    assert.equal(pod.automountServiceAccountToken, false);
    assert.equal(pod.serviceAccountName, find("ServiceAccount", name).metadata.name);
    const { readOnlyRootFilesystem, allowPrivilegeEscalation, capabilities } = container.securityContext;
    assert.deepEqual(
      [readOnlyRootFilesystem, allowPrivilegeEscalation, capabilities],
      [true, false, { drop: ["ALL"] }],
    );
  });

  test(`${name}: production never has fewer than three replicas`, () => {
    assert.equal(find("HorizontalPodAutoscaler", name).spec.minReplicas, 3);
    assert.equal(find("PodDisruptionBudget", name).spec.maxUnavailable, 1);
    assert.equal(find("Deployment", name).spec.replicas, undefined);
  });
}

function drainOf(container: Manifest): string {
  return container.env.find((variable: Manifest) => variable.name === "DRAIN_GRACE").value;
}

test("the image runs the Node that the project is developed on", async () => {
  const { devDependencies, version } = JSON.parse(await read("package.json"));
  const images = [...(await read("Dockerfile")).matchAll(/^FROM (\S+)/gm)].map(([, image]) => image);
  assert.deepEqual(new Set(images), new Set([`node:${devDependencies.node}-bookworm-slim`]));
  const base = objects.find((object) => object.kind === "Kustomization" && object.images);
  assert.equal(base.images.find((image: Manifest) => image.name === "gatehouse").newTag, version);
  for (const { name } of services) {
    assert.equal(find("Deployment", name).spec.template.metadata.labels["app.kubernetes.io/version"], version);
  }
});

const contracts: readonly DescService[] = [AuthService, SecondFactorService, PolicyService, PolicyAdminService];
const methods = new Map<string, DescMethod>(
  contracts.flatMap((service) => service.methods.map((method) => [`/${service.typeName}/${method.name}`, method])),
);

test("calls that are retried on UNAVAILABLE have no side effects; streams have no timeout", () => {
  for (const { name } of services) {
    for (const route of find("VirtualService", name).spec.http) {
      const paths = route.match.flatMap((match: Manifest) => match.uri?.exact ?? []);
      for (const path of paths) assert.ok(methods.has(path), `${path} exists`);
      if (/(^|,)unavailable/.test(route.retries?.retryOn ?? "")) {
        assert.ok(paths.length > 0);
        for (const path of paths) assert.equal(methods.get(path)?.idempotency, Idempotency.NO_SIDE_EFFECTS, path);
      }
      if (route.name === "calls") assert.ok(route.timeout);
    }
    const untimed = find("VirtualService", name).spec.http.filter((route: Manifest) => route.timeout === undefined);
    const free = new Set(untimed.flatMap((route: Manifest) => route.match.map((match: Manifest) => match.uri?.exact)));
    for (const service of contracts) {
      if (!service.typeName.startsWith(`gatehouse.${name.replace("-service", "")}.`)) continue;
      for (const { methodKind, name: method } of service.methods) {
        if (methodKind !== "unary") assert.ok(free.has(`/${service.typeName}/${method}`), method);
      }
    }
  }
});

test("authorization policies name RPCs that there are", () => {
  const known = new Set([
    ...contracts.map((service) => service.typeName),
    "gatehouse.auth.v1.IdentityService",
    "envoy.service.auth.v3.Authorization",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
  ]);
  for (const { name } of services) {
    const rules = find("AuthorizationPolicy", name).spec.rules;
    const operations = rules.flatMap((rule: Manifest) => rule.to.map((to: Manifest) => to.operation));
    const paths = operations.flatMap((on: Manifest) => [...(on.paths ?? []), ...(on.notPaths ?? [])]);
    for (const path of paths.filter((each: string) => /^\/[\w]+\./.test(each))) {
      assert.ok(known.has(path.split("/")[1]), path);
    }
  }
});

test("protected workloads are checked by the provider that the mesh has, and it fails closed", () => {
  const policy = objects.find((object) => object.kind === "AuthorizationPolicy" && object.spec.action === "CUSTOM");
  const [provider] = find("IstioOperator", "gatehouse").spec.meshConfig.extensionProviders;
  assert.equal(policy.spec.provider.name, provider.name);
  const { service, port, failOpen, statusOnError, timeout } = provider.envoyExtAuthzGrpc;
  assert.equal(service, "gatehouse/auth-service.gatehouse.svc.cluster.local");
  assert.deepEqual([port, failOpen, statusOnError], [services[0]?.grpc, false, "503"]);
  assert.ok(Number.parseFloat(timeout) <= 1);
  const { jwksUri } = objects.find((object) => object.kind === "RequestAuthentication").spec.jwtRules[0];
  assert.equal(new URL(jwksUri).port, String(services[0]?.http));
});

test("metric names in dashboards, alerts, autoscalers and docs are exported by the services", async () => {
  const registry = createMetrics({ service: "auth-service" }).registry;
  createBusMetrics(registry);
  createAuditMetrics(registry);
  const admission = new Admission(defaultOverloadLimits);
  observeAdmission(registry, admission);
  admission.close();
  createRevocationMetrics(registry).watch({ isFresh: () => false, position: undefined, watchers: 0 });
  createTokenMetrics(registry);
  createCheckMetrics(registry);
  const exported = new Set(registry.getMetricsAsArray().map((metric) => metric.name));
  const base = (name: string): string => (exported.has(name) ? name : name.replace(/_(bucket|sum|count)$/, ""));
  const dashboard = await read("k8s/monitoring/dashboards/gatehouse.json");
  const pattern =
    /\b(?:service|circuit|cache|check|process|nodejs|revocations?|token|bus|audit)_[a-z0-9]+_[a-z0-9_]+\b/g;
  const texts = [
    dashboard,
    await read("k8s/monitoring/rules.yaml"),
    await read("k8s/monitoring/rules-test.yaml"),
    await read("docs/audit.md"),
  ];
  const names = texts.flatMap((text) => text.match(pattern) ?? []);
  assert.ok(names.length > 20);
  for (const name of names) assert.ok(exported.has(base(name)), `${name} is not exported`);

  for (const { name } of services) {
    const pods = find("HorizontalPodAutoscaler", name).spec.metrics.find((metric: Manifest) => metric.type === "Pods");
    const source = pods.pods.metric.name.replace(/_per_second$/, "_total");
    assert.ok(exported.has(source), source);
    assert.ok(objects.some((object) => object.rules?.custom?.[0].seriesQuery.startsWith(`${source}{`)));
  }
});

test("every alert links to a section that exists", async () => {
  const alerts = find("PrometheusRule", "gatehouse").spec.groups.flatMap((group: Manifest) =>
    group.rules.filter((rule: Manifest) => rule.alert),
  );
  assert.ok(alerts.length > 0);
  for (const { alert, annotations } of alerts) {
    const [page = "", anchor] = annotations.runbook_url.split("#");
    const anchors = [...(await read(page)).matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
      (title ?? "")
        .toLowerCase()
        .replace(/[^\w\- ]/g, "")
        .replaceAll(" ", "-"),
    );
    assert.ok(anchors.includes(anchor), `${alert}: ${annotations.runbook_url}`);
  }
});

test("the mapping that is installed is one that auth-service accepts, where it looks for it, and denies everything", async () => {
  const path = "k8s/base/check-mapping.yaml";
  assert.equal(parseMapping(await read(path), path).ruleCount, 0);
  const { containers, volumes } = find("Deployment", "auth-service").spec.template.spec;
  const variable = containers[0].env.find((each: Manifest) => each.name === "AUTH_CHECK_MAPPING");
  const mount = containers[0].volumeMounts.find((each: Manifest) => each.name === "check");
  assert.equal(variable.value, `${mount.mountPath}/check-mapping.yaml`);
  const volume = volumes.find((each: Manifest) => each.name === "check");
  const base = objects.find((object) => object.kind === "Kustomization" && object.images);
  const generator = base.configMapGenerator.find((each: Manifest) => each.name === volume.configMap.name);
  assert.deepEqual(generator.files, ["check-mapping.yaml"]);
});

test("every manifest opens with what it is for", async () => {
  for (const path of files) assert.match(await read(path), /^# \S/, path);
});

test("the development overlay has the demo's policies and mapping", async () => {
  const mapping = "check-mapping.yaml";
  assert.equal(await read(`k8s/overlays/dev/${mapping}`), await read(`policies/documents/${mapping}`));
  for (const name of ["policies.cedar", "schema.cedarschema", "entities.json"]) {
    assert.equal(await read(`k8s/overlays/dev/policies/${name}`), await read(`policies/documents/${name}`), name);
  }
});
