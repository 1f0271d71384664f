import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Bounds, checkHistory, knownSince, type ViolationKind } from "./chaos/checker.ts";
import type { Access, History, Operation } from "./chaos/history.ts";

const bounds: Bounds = { propagationMs: 1_000, settleMs: 5_000, slackMs: 100, recoveryMs: 2_000 };

/** An operation that takes 10 ms from `start` on and has 1 s. */
function operation(start: number, fields: Partial<Operation> = {}): Operation {
  return {
    name: "call",
    replica: "auth-1",
    start,
    end: start + 10,
    deadline: start + 1_000,
    outcome: "ok",
    code: "OK",
    writes: [],
    reads: [],
    ...fields,
  };
}

const access = (register: string, grants: boolean): readonly Access[] => [{ register, grants }];
const write = (start: number, register: string, grants: boolean, fields: Partial<Operation> = {}): Operation =>
  operation(start, { writes: access(register, grants), ...fields });
const read = (start: number, register: string, grants: boolean, fields: Partial<Operation> = {}): Operation =>
  operation(start, { reads: access(register, grants), ...fields });
const lost = { outcome: "unknown", code: "UNAVAILABLE" } as const;

function kindsOf(operations: readonly Operation[], rest: Partial<History> = {}): ViolationKind[] {
  const history = { operations, faults: [], cutOff: [], away: [], crashes: [], ...rest };
  return checkHistory(history, bounds).map(({ kind }) => kind);
}

describe("the checker of chaos", () => {
  it("is content with a history in which everything is as it should be", () => {
    assert.deepEqual(
      kindsOf([
        read(0, "session:1", false),
        write(100, "session:1", true),
        read(200, "session:1", true),
        write(300, "session:1", false),
        read(400, "session:1", false),
        operation(500, lost),
      ]),
      [],
    );
  });

  it("finds a fail-open: what is granted though it was never, or has been revoked", () => {
    assert.deepEqual(kindsOf([read(0, "session:1", true)]), ["wrong-allow"]);
    const revoked = [write(0, "session:1", true), write(100, "session:1", false)];
    assert.deepEqual(kindsOf([...revoked, read(111, "session:1", true)]), ["wrong-allow"]);
  });

  it("finds an acknowledged write that was dropped", () => {
    assert.deepEqual(kindsOf([write(0, "user:ann", true), read(60_000, "user:ann", false)]), ["lost-write"]);
    const deleted = [write(0, "user:ann", true), write(100, "user:ann", false)];
    assert.deepEqual(kindsOf([...deleted, read(60_000, "user:ann", true)]), ["wrong-allow"]);
  });

  it("lets a read that overlaps a write find either", () => {
    for (const grants of [true, false]) {
      const during = read(95, "session:1", grants);
      assert.deepEqual(kindsOf([write(0, "session:1", true), write(100, "session:1", false), during]), []);
    }
  });

  it("lets an unacknowledged write be done, late, or never, and a refused one not at all", () => {
    const created = write(0, "user:ann", true);
    const tried = write(100, "user:ann", false, lost);
    for (const grants of [true, false])
      assert.deepEqual(kindsOf([created, tried, read(9_000, "user:ann", grants)]), []);
    const again = write(3_000, "user:ann", true);
    assert.deepEqual(kindsOf([created, tried, again, read(3_500, "user:ann", false)]), [], "it came late");
    const after = write(5_200, "user:ann", true);
    assert.deepEqual(kindsOf([created, tried, after, read(6_000, "user:ann", false)]), ["lost-write"]);
    const refused = write(100, "user:ann", false, { outcome: "refused", code: "NOT_FOUND" });
    assert.deepEqual(kindsOf([created, refused, read(200, "user:ann", false)]), ["lost-write"]);
  });

  it("gives replicas of policies the time that is stated, and not more", () => {
    const closed = [write(0, "policy:read", true), write(2_000, "policy:read", false)];
    const at = (start: number, decidedBy = "policy-1"): Operation =>
      read(start, "policy:read", true, { replica: "auth-1", decidedBy });
    assert.deepEqual(kindsOf([...closed, at(3_000)]), []);
    assert.deepEqual(kindsOf([...closed, at(3_011)]), ["wrong-allow"]);
    const cutOff = [{ replica: "policy-1", from: 1_900, to: 9_000 }];
    assert.deepEqual(kindsOf([...closed, at(9_900)], { cutOff }), []);
    assert.deepEqual(kindsOf([...closed, at(10_100)], { cutOff }), ["wrong-allow"]);
    assert.deepEqual(kindsOf([...closed, at(9_000, "policy-2")], { cutOff }), ["wrong-allow"]);
    assert.deepEqual(kindsOf([...closed, read(9_000, "session:1", true)], { cutOff }), ["wrong-allow"]);
  });

  it("adds up cut-offs that follow each other too soon to catch up between", () => {
    const cutOff = [
      { replica: "policy-1", from: 1_000, to: 2_000 },
      { replica: "policy-1", from: 2_500, to: 4_000 },
      { replica: "policy-1", from: 9_000, to: 9_500 },
    ];
    assert.equal(knownSince("policy-1", 4_500, cutOff, 1_000), 0);
    assert.equal(knownSince("policy-1", 6_000, cutOff, 1_000), 5_000);
    assert.equal(knownSince("policy-2", 4_500, cutOff, 1_000), 3_500);
  });

  it("finds calls that are answered late, by their deadline alone, or with a status that tells of a defect", () => {
    assert.deepEqual(kindsOf([operation(0, { end: 1_101 })]), ["unanswered"]);
    assert.deepEqual(kindsOf([operation(0, { end: 1_099 })]), []);
    const expired = operation(0, { end: 1_001, outcome: "unknown", code: "DEADLINE_EXCEEDED" });
    assert.deepEqual(kindsOf([expired]), ["unanswered"]);
    assert.deepEqual(kindsOf([expired], { away: [{ replica: "auth-2", from: 0, to: 2_000 }] }), ["unanswered"]);
    assert.deepEqual(kindsOf([expired], { away: [{ replica: "auth-1", from: 500, to: 2_000 }] }), []);
    assert.deepEqual(kindsOf([operation(0, { outcome: "unknown", code: "INTERNAL" })]), ["defect"]);
  });

  it("finds slow recoveries and crashes", () => {
    const fault = { fault: "kill -9", target: "auth-1", from: 0, healed: 1_000 };
    assert.deepEqual(kindsOf([], { faults: [{ ...fault, recovered: 3_000 }] }), []);
    assert.deepEqual(kindsOf([], { faults: [{ ...fault, recovered: 3_001 }] }), ["slow-recovery"]);
    assert.deepEqual(kindsOf([], { faults: [fault] }), ["slow-recovery"]);
    assert.deepEqual(kindsOf([], { crashes: [{ replica: "auth-1", from: 5 }] }), ["crash"]);
  });
});
