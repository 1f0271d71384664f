/** The proxy of the mesh tests, with nobody to ask: what goes wrong must end in 503 and never reach the workload. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { freePort } from "../support/ports.ts";
import { startEnvoy } from "./envoy.ts";
import { createEnvoyConfig } from "./envoy-config.ts";

test("without an auth-service every request is refused with 503 and none reaches the workload", async () => {
  let reached = 0;
  const workload = createServer((_request, response) => {
    reached += 1;
    response.end("workload");
  });
  await new Promise<void>((resolve) => workload.listen(0, "127.0.0.1", resolve));
  const upstream = { port: (workload.address() as AddressInfo).port };
  const listenPort = await freePort();
  const adminPort = await freePort();
  const config = createEnvoyConfig({
    listenPort,
    adminPort,
    authGrpc: [{ port: await freePort() }],
    authHttp: [{ port: await freePort() }],
    upstream: [upstream],
    issuer: "https://auth.example.com",
  });
  const envoy = await startEnvoy(config, adminPort);
  try {
    for (const [path, headers] of [
      ["/", {}],
      ["/orders/17", { authorization: "Bearer eyJhbGciOiJub25lIn0.e30." }],
      ["//orders%2f17", { "x-gatehouse-principal": "admin" }],
    ] as const) {
      const answer = await fetch(`http://127.0.0.1:${listenPort}${path}`, { headers });
      assert.equal(answer.status, 503, path);
      await answer.text();
    }
    assert.equal(reached, 0);
    assert.equal((await fetch(`http://127.0.0.1:${upstream.port}/`)).status, 200);
    assert.equal(reached, 1, "the workload itself answers");
  } finally {
    await envoy.close();
    workload.close();
    workload.closeAllConnections();
  }
});
