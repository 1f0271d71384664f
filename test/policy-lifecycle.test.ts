import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Decision } from "../gen/gatehouse/policy/v1/decision_pb.ts";
import type { ServiceError } from "../src/shared/service-error.ts";
import { asAdmin, type PolicyReplica, startPolicyReplica } from "./support/policy-replica.ts";
import { startRedisServer } from "./support/redis-server.ts";
import { until } from "./support/until.ts";

const schema = `
entity Role;
entity User in [Role] = { "level": Long };
entity Document;
action "view", "edit" appliesTo { principal: User, resource: Document, context: { "mfa"?: Bool } };
`;
const viewers = `@id("viewers") permit (principal in Role::"viewer", action == Action::"view", resource);`;
const everybody = `@id("everybody") permit (principal, action == Action::"view", resource);`;
const bundle = (text: string) => ({ files: [{ name: "policies.cedar", text }], schema });

const user = (id: string, role = "viewer") => ({
  uid: { type: "User", id },
  attrs: { level: 1 },
  parents: [{ type: "Role", id: role }],
});
const view = (id: string) => ({
  principal: { type: "User", id },
  action: { type: "Action", id: "view" },
  resource: { type: "Document", id: "d" },
});

async function outcome(call: Promise<unknown>): Promise<string> {
  return await call.then(
    () => "OK",
    (error: ServiceError) => `${error.code} ${error.reason}`,
  );
}

async function decide(replica: PolicyReplica, who: string, revision = ""): Promise<Decision> {
  return (await replica.policy.evaluate({ ...view(who), revision })).decision;
}

/** The life of policies on two replicas, whatever store they share. */
function describeLifecycle(name: string, start: () => Promise<{ env: Record<string, string>; stop(): Promise<void> }>) {
  describe(name, () => {
    let store: Awaited<ReturnType<typeof start>>;
    let one: PolicyReplica;
    let two: PolicyReplica;
    let first = "";
    let second = "";

    before(async () => {
      store = await start();
      const env = { ...store.env, POLICY_SOURCE: "store" };
      one = await startPolicyReplica(env, { waitForPolicies: false });
      two = await startPolicyReplica(env, { waitForPolicies: false });
    });
    after(async () => {
      await Promise.all([one.close(), two.close()]);
      await store.stop();
    });

    test("nothing is served without a valid admin credential", async () => {
      for (const headers of [{}, { authorization: "Bearer wrong" }, { authorization: "Basic YTpi" }]) {
        assert.equal(
          await outcome(one.admin.listRevisions({}, { headers })),
          "UNAUTHENTICATED ADMIN_CREDENTIAL_MISSING",
        );
        const watching = (async () => {
          for await (const _ of one.admin.watchRevisions({}, { headers })) return;
        })();
        assert.equal(await outcome(watching), "UNAUTHENTICATED ADMIN_CREDENTIAL_MISSING");
      }
    });

    test("before anything is active, requests are UNAVAILABLE", async () => {
      assert.equal(await outcome(decide(one, "ann")), "UNAVAILABLE POLICIES_NOT_LOADED");
      assert.equal((await one.admin.listRevisions({}, asAdmin)).revisions.length, 0);
      assert.equal(await outcome(one.admin.rollback({}, asAdmin)), "FAILED_PRECONDITION NOTHING_TO_ROLL_BACK_TO");
    });

    test("validation has findings with places, and no effect", async () => {
      const good = await one.admin.validatePolicies({ bundle: bundle(viewers) }, asAdmin);
      assert.deepEqual([good.valid, good.policyCount, good.findings.length], [true, 1, 0]);
      const text = `${viewers}\n@id("bad") permit (principal, action == Action::"veiw", resource);`;
      const bad = await one.admin.validatePolicies({ bundle: bundle(text) }, asAdmin);
      assert.equal(bad.valid, false);
      const [finding] = bad.findings;
      assert.deepEqual([finding?.policyId, finding?.file, finding?.line], ["bad", "policies.cedar", 2]);
      assert.equal((await one.admin.listRevisions({}, asAdmin)).revisions.length, 0);
    });

    test("a published revision is immutable, named by its content, and not active by itself", async () => {
      const request = { bundle: bundle(viewers), comment: "viewers view" };
      const { revision } = await one.admin.publishPolicies(request, asAdmin);
      first = revision?.id ?? "";
      assert.match(first, /^1-[0-9a-f]{12}$/);
      assert.equal(revision?.active, false);
      const again = await two.admin.publishPolicies({ ...request, comment: "the same" }, asAdmin);
      assert.deepEqual([again.revision?.id, again.revision?.comment], [first, "viewers view"]);
      assert.equal(await outcome(decide(one, "ann")), "UNAVAILABLE POLICIES_NOT_LOADED");
    });

    test("a bad set is refused with all findings", async () => {
      const text = `permit (principal, action == Action::"veiw", resource);\nforbid (`;
      const refused = one.admin.publishPolicies({ bundle: bundle(text), activate: true }, asAdmin);
      await assert.rejects(refused, { code: "INVALID_ARGUMENT", reason: "POLICIES_NOT_VALID" });
      await refused.catch((error: ServiceError) => assert.ok(error.violations.length >= 1));
      assert.equal((await one.admin.listRevisions({}, asAdmin)).revisions.length, 1);
    });

    test("activation reaches every replica", async () => {
      assert.equal(
        await outcome(one.admin.activateRevision({ revision: "9-000000000000" }, asAdmin)),
        "NOT_FOUND REVISION_NOT_FOUND",
      );
      assert.deepEqual(
        (({ active, previous }) => [active, previous])(await one.admin.activateRevision({ revision: first }, asAdmin)),
        [first, ""],
      );
      assert.equal(await decide(one, "ann"), Decision.DENY);
      await until("the other replica has it", async () => (await outcome(decide(two, "ann"))) === "OK");
      assert.equal((await two.policy.evaluate(view("ann"))).revision, first);
    });

    test("entities change in batches that are whole or not at all, on every replica", async () => {
      const wrong = [user("ann"), { ...user("ben"), attrs: { level: "high" } }, { ...user("cat"), attrs: {} }];
      const refused = one.admin.putEntities({ entities: wrong }, asAdmin);
      await refused.catch((error: ServiceError) =>
        assert.deepEqual(
          error.violations.map(({ field }) => field),
          ["entities[1].attrs.level", "entities[2].attrs.level"],
        ),
      );
      assert.equal(await outcome(refused), "INVALID_ARGUMENT INVALID_REQUEST");
      assert.equal(await decide(one, "ann"), Decision.DENY);
      const cycle = [{ uid: { type: "Role", id: "a" }, parents: [{ type: "Role", id: "a" }] }];
      assert.equal(
        await outcome(one.admin.putEntities({ entities: cycle }, asAdmin)),
        "INVALID_ARGUMENT INVALID_REQUEST",
      );

      const { entityRevision } = await one.admin.putEntities(
        { entities: [user("ann"), user("ben", "other")] },
        asAdmin,
      );
      assert.equal(entityRevision, 1n);
      assert.deepEqual([await decide(one, "ann"), await decide(one, "ben")], [Decision.ALLOW, Decision.DENY]);
      await until("the other replica has them", async () => (await decide(two, "ann")) === Decision.ALLOW);

      const read = await two.admin.getEntities({ uids: [user("ben").uid, user("nobody").uid] }, asAdmin);
      assert.deepEqual(
        read.entities.map(({ uid, attrs, parents }) => [uid?.id, attrs, parents[0]?.id]),
        [["ben", { level: 1 }, "other"]],
      );
      const deleted = await two.admin.deleteEntities({ uids: [user("ann").uid, user("nobody").uid] }, asAdmin);
      assert.equal(deleted.entityRevision, 2n);
      assert.equal(await decide(two, "ann"), Decision.DENY);
      await until("the first has lost it, too", async () => (await decide(one, "ann")) === Decision.DENY);
    });

    test("two replicas that change entities at once lose nothing", async () => {
      const names = Array.from({ length: 60 }, (_, n) => `user-${n}`);
      await Promise.all(
        names.map((id, n) => (n % 2 === 0 ? one : two).admin.putEntities({ entities: [user(id)] }, asAdmin)),
      );
      for (const replica of [one, two]) {
        await until("all are there", async () => {
          const decisions = await Promise.all(names.map((id) => decide(replica, id)));
          return decisions.every((decision) => decision === Decision.ALLOW);
        });
      }
      const [page, rest] = [
        await one.admin.getEntities({ pageSize: 40 }, asAdmin),
        await one.admin.getEntities({}, asAdmin),
      ];
      assert.equal(page.entities.length, 40);
      const next = await one.admin.getEntities({ pageSize: 100, pageToken: page.nextPageToken }, asAdmin);
      assert.deepEqual(
        [...page.entities, ...next.entities].map(({ uid }) => uid?.id),
        rest.entities.map(({ uid }) => uid?.id),
      );
      assert.equal(next.nextPageToken, "");
    });

    test("a shadow is compared on live requests of all replicas, and can be a condition", async () => {
      const { revision } = await two.admin.publishPolicies({ bundle: bundle(everybody) }, asAdmin);
      second = revision?.id ?? "";
      const tooEarly = { revision: second, maxShadowDifference: 0.5 };
      assert.equal(await outcome(one.admin.activateRevision(tooEarly, asAdmin)), "FAILED_PRECONDITION SHADOW_DIFFERS");
      await one.admin.setShadow({ revision: second }, asAdmin);
      await until("both replicas compare", async () => {
        await Promise.all([one, two].map((replica) => decide(replica, "user-1")));
        const reports = await Promise.all(
          [one, two].map((replica) => replica.metric(/^policy_shadow_evaluations_total\{result="same"[^}]*\} (\d+)$/m)),
        );
        return reports.every((count) => count > 0);
      });
      for (let n = 0; n < 10; n += 1) await Promise.all([decide(one, "stranger"), decide(two, "stranger")]);
      await until("the report has all differences", async () => {
        const { different } = await one.admin.getShadowReport({}, asAdmin);
        return different === 20n;
      });
      const report = await one.admin.getShadowReport({}, asAdmin);
      assert.deepEqual([report.revision, report.active], [second, first]);
      const [difference] = report.differences;
      assert.deepEqual(
        [
          difference?.activeDecision,
          difference?.activePolicies,
          difference?.shadowDecision,
          difference?.shadowPolicies,
        ],
        [Decision.DENY, [], Decision.ALLOW, ["everybody"]],
      );
      assert.equal(difference?.examples[0]?.principal?.id, "stranger");
      const strict = { revision: second, maxShadowDifference: 0 };
      assert.equal(await outcome(one.admin.activateRevision(strict, asAdmin)), "FAILED_PRECONDITION SHADOW_DIFFERS");
      assert.equal(await decide(one, "stranger"), Decision.DENY, "a shadow decides nothing");
    });

    test("activation and rollback under load: no request fails, and none mixes revisions", async () => {
      const stopped = new AbortController();
      const seen = new Map<string, Set<number>>();
      let requests = 0;
      const load = Array.from({ length: 40 }, async (_, n) => {
        const replica = n % 2 === 0 ? one : two;
        while (!stopped.signal.aborted) {
          // Denied by the first revision, allowed by the second.
          const { revision, decision } = await replica.policy.evaluate(view("stranger"));
          const decisions = seen.get(revision) ?? new Set();
          seen.set(revision, decisions.add(decision));
          requests += 1;
        }
      });
      for (let n = 0; n < 10; n += 1) {
        await two.admin.setShadow({ revision: second }, asAdmin);
        await one.admin.activateRevision({ revision: second, expectedActive: first }, asAdmin);
        const stale = { revision: second, expectedActive: first };
        assert.equal(
          await outcome(one.admin.activateRevision(stale, asAdmin)),
          "FAILED_PRECONDITION OTHER_REVISION_ACTIVE",
        );
        await one.admin.publishPolicies({ bundle: bundle(`${viewers}\n// ${name} ${n}`) }, asAdmin);
        await assert.rejects(one.admin.publishPolicies({ bundle: bundle("permit ("), activate: true }, asAdmin));
        await sleep(20);
        const { active, previous } = await two.admin.rollback({}, asAdmin);
        assert.deepEqual([active, previous], [first, second]);
      }
      stopped.abort();
      await Promise.all(load);
      assert.deepEqual([...seen].map(([revision, decisions]) => [revision, ...decisions]).sort(), [
        [first, Decision.DENY],
        [second, Decision.ALLOW],
      ]);
      assert.ok(requests > 100, `${requests} requests`);
    });

    test("any stored revision can be pinned, with the entities of now", async () => {
      const two_ = await startPolicyReplica({ ...store.env, POLICY_SOURCE: "store" });
      try {
        const [mine, theirs] = [await decide(two_, "stranger"), await decide(two_, "stranger", second)];
        assert.deepEqual([mine, theirs], [Decision.DENY, Decision.ALLOW]);
        await one.admin.putEntities({ entities: [user("newcomer")] }, asAdmin);
        await until(
          "the newcomer is seen by the pinned revision",
          async () => (await decide(two_, "newcomer", first)) === Decision.ALLOW,
        );
        assert.equal(await outcome(decide(two_, "x", "7-abcdefabcdef")), "NOT_FOUND REVISION_NOT_FOUND");
      } finally {
        await two_.close();
      }
    });

    test("a schema that does not admit the resident entities is not activated", async () => {
      const other = {
        files: [{ name: "a.cedar", text: "permit (principal, action, resource);" }],
        schema: "entity Thing;",
      };
      const { revision } = await one.admin.publishPolicies({ bundle: other }, asAdmin);
      const refused = one.admin.activateRevision({ revision: revision?.id ?? "" }, asAdmin);
      assert.equal(await outcome(refused), "FAILED_PRECONDITION ENTITIES_NOT_ADMITTED");
      assert.equal((await one.policy.evaluate(view("user-1"))).revision, first);
    });

    test("watching tells the active revision now and after each change", async () => {
      const seen: string[] = [];
      const ending = new AbortController();
      const watching = (async () => {
        for await (const { active } of two.admin.watchRevisions({}, { ...asAdmin, signal: ending.signal })) {
          seen.push(active?.id ?? "");
        }
      })().catch(() => undefined);
      await until("the first", async () => seen.length > 0);
      await one.admin.activateRevision({ revision: second }, asAdmin);
      await until("the second", async () => seen.at(-1) === second);
      await one.admin.rollback({}, asAdmin);
      await until("the first again", async () => seen.at(-1) === first);
      ending.abort();
      await watching;
      assert.equal(seen[0], first);
    });

    test("revisions are listed newest first, by pages", async () => {
      const all = (await two.admin.listRevisions({}, asAdmin)).revisions;
      const sequences = all.map(({ id }) => Number.parseInt(id, 10));
      assert.deepEqual(
        sequences,
        [...sequences].sort((a, b) => b - a),
      );
      assert.deepEqual(
        all.filter(({ active }) => active).map(({ id }) => id),
        [first],
      );
      const page = await two.admin.listRevisions({ pageSize: 3 }, asAdmin);
      const next = await two.admin.listRevisions({ pageSize: 1_000, pageToken: page.nextPageToken }, asAdmin);
      assert.deepEqual(
        [...page.revisions, ...next.revisions].map(({ id }) => id),
        all.map(({ id }) => id),
      );
    });

    test("kill -9 loses nothing: state and entities are there after a restart", async () => {
      await one.close("SIGKILL");
      one = await startPolicyReplica({ ...store.env, POLICY_SOURCE: "store" });
      assert.deepEqual([await decide(one, "user-1"), await decide(one, "stranger")], [Decision.ALLOW, Decision.DENY]);
      assert.equal((await one.policy.evaluate(view("user-1"))).revision, first);
    });
  });
}

describeLifecycle("policies in SQLite", async () => {
  const dir = mkdtempSync(join(tmpdir(), "gatehouse-policy-"));
  return { env: { DATA_DIR: dir }, stop: async () => rmSync(dir, { recursive: true, force: true }) };
});

describeLifecycle("policies in Redis", async () => {
  const server = await startRedisServer();
  return { env: { REDIS_URL: server.url }, stop: server.stop };
});

describeLifecycle("policies in Redis Cluster", async () => {
  const server = await startRedisServer({ cluster: true });
  return { env: { REDIS_URL: `redis+cluster://127.0.0.1:${server.port}` }, stop: server.stop };
});
