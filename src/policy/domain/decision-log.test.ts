import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually } from "../../../test/support/eventually.ts";
import { type AnsweredDecision, DecisionLog, type DecisionLogOptions, type LoggedDecision } from "./decision-log.ts";
import { createMask } from "./mask.ts";

function openLog(options: Partial<DecisionLogOptions> = {}) {
  const published: LoggedDecision[] = [];
  const counts = { logged: 0, dropped: 0 };
  const log = new DecisionLog({
    sample: 1,
    denials: false,
    perSecond: 1_000_000,
    maxSize: 1_000,
    mask: createMask([]),
    publish: async (decisions) => void published.push(...decisions),
    counted(logged, dropped) {
      counts.logged += logged;
      counts.dropped += dropped;
    },
    ...options,
  });
  return { log, published, counts };
}

function answered(decisionId: string, context = {}, decision: "ALLOW" | "DENY" = "ALLOW"): AnsweredDecision {
  return {
    query: {
      principal: { type: "User", id: "alice" },
      action: { type: "Action", id: "view" },
      resource: { type: "Document", id: "d" },
      context,
      entities: [],
    },
    evaluation: { decision, determining: [], errors: [], indeterminate: false },
    revision: "1-abc",
    decisionId,
    peerAddress: "127.0.0.1",
    requestId: "r",
    traceparent: "",
  };
}

describe("the decision log", () => {
  it("takes its share of the decisions, and of denials all if it is to", () => {
    const share = (log: DecisionLog, allowed: boolean): number => {
      let wanted = 0;
      for (let n = 0; n < 100_000; n += 1) if (log.wants(allowed)) wanted += 1;
      return wanted / 100_000;
    };
    assert.ok(Math.abs(share(openLog({ sample: 0.1 }).log, true) - 0.1) < 0.01);
    assert.ok(Math.abs(share(openLog({ sample: 0.9 }).log, false) - 0.9) < 0.01);
    assert.equal(share(openLog({ sample: 1 }).log, true), 1);
    const denials = openLog({ sample: 0, denials: true }).log;
    assert.deepEqual([share(denials, true), share(denials, false)], [0, 1]);
    const both = openLog({ sample: 0.5, denials: true }).log;
    assert.ok(Math.abs(share(both, true) - 0.5) < 0.01);
    assert.equal(share(both, false), 1);
  });

  it("drops what is over the rate, and counts it", async () => {
    const { log, counts } = openLog({ perSecond: 10 });
    let wanted = 0;
    for (let n = 0; n < 1_000; n += 1) if (log.wants(true)) wanted += 1;
    assert.ok(wanted >= 10 && wanted < 100, `${wanted} wanted`);
    await eventually(() => assert.equal(counts.dropped, 1_000 - wanted));
  });

  it("drops what is over its memory while nothing can be published, and publishes the rest in order later", async () => {
    let away = true;
    const published: string[] = [];
    const { log, counts } = openLog({
      maxSize: 65_536,
      async publish(decisions) {
        if (away) throw new Error("away");
        published.push(...decisions.map(({ decisionId }) => decisionId));
      },
    });
    const context = { text: "x".repeat(60_000) };
    let taken = 0;
    for (let n = 0; n < 400; n += 1) {
      if (!log.wants(true)) continue;
      log.take(answered(String(n), context));
      taken += 1;
    }
    await eventually(() => assert.ok(counts.dropped > 200 && counts.dropped < taken));
    away = false;
    await eventually(() => assert.equal(published.length + counts.dropped, 400));
    assert.deepEqual(
      published,
      [...published].sort((a, b) => Number(a) - Number(b)),
    );
    assert.equal(counts.logged, published.length);
  });

  it("leaves out a context, and entities, that are too large", async () => {
    const { log, published } = openLog({ maxSize: 100 });
    log.take(answered("small", { a: 1 }));
    log.take(answered("large", { a: "x".repeat(100) }));
    const entities = [{ uid: { type: "User", id: "a" }, attrs: { a: "x".repeat(100) } }];
    const decision = answered("entities", { a: 1 });
    log.take({ ...decision, query: { ...decision.query, entities } });
    await log.close(5_000);
    assert.deepEqual(
      published.map(({ context, entities: kept }) => [context, kept]),
      [
        ['{"a":1}', "[]"],
        [undefined, "[]"],
        ['{"a":1}', undefined],
      ],
    );
  });

  it("tells when it was decided, however late it is published", async () => {
    let now = 1_000;
    let published: readonly LoggedDecision[] = [];
    let attempts = 0;
    const { log } = openLog({
      now: () => now,
      async publish(decisions) {
        attempts += 1;
        if (attempts === 1) throw new Error("away");
        published = decisions;
      },
    });
    log.take(answered("d"));
    now = 99_000;
    await eventually(() => assert.equal(attempts, 2));
    assert.deepEqual(
      published.map(({ time }) => time),
      [1_000],
    );
  });

  it("says why a decision was a denial", async () => {
    const { log, published } = openLog();
    const decision = answered("d", {}, "DENY");
    log.take(decision);
    log.take({ ...decision, evaluation: { ...decision.evaluation, determining: ["p"] } });
    log.take({ ...decision, evaluation: { ...decision.evaluation, indeterminate: true } });
    log.take(answered("a"));
    await log.close(5_000);
    assert.deepEqual(
      published.map(({ reason }) => reason),
      ["NO_MATCH", "FORBIDDEN", "INDETERMINATE", undefined],
    );
  });
});

describe("masking", () => {
  it("masks paths, through lists and any name, and what is named like a secret", () => {
    const mask = createMask(["context.client.ip", "context.*.serial", "entities.email"]);
    const found = new Set<string>();
    const context = {
      client: { ip: "1.2.3.4", name: "app" },
      devices: [{ serial: 1, kind: "a" }, { serial: 2 }],
      deep: { password: "s3cret", list: [{ api_key: "s3cret" }] },
      ip: "5.6.7.8",
    };
    assert.deepEqual(mask.context(context, found), {
      client: { ip: "[masked]", name: "app" },
      devices: [{ serial: "[masked]", kind: "a" }, { serial: "[masked]" }],
      deep: { password: "[masked]", list: [{ api_key: "[masked]" }] },
      ip: "5.6.7.8",
    });
    assert.deepEqual(mask.attributes({ email: "a@b", ip: "1" }, found), { email: "[masked]", ip: "1" });
    assert.deepEqual([...found].sort(), [
      "context.client.ip",
      "context.deep.list.api_key",
      "context.deep.password",
      "context.devices.serial",
      "entities.email",
    ]);
    assert.equal(context.client.ip, "1.2.3.4", "the request itself is as it was");
  });

  it("refuses what is no path", () => {
    for (const path of ["", "context", "principal.id", "context.", "context..a", "context.a b"]) {
      assert.throws(() => createMask([path]), TypeError, path);
    }
  });
});
