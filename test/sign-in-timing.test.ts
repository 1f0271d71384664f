import assert from "node:assert/strict";
import { test } from "node:test";
import { outcome, startAuthReplicas } from "./support/auth-replicas.ts";

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

/**
 * Taken in turn, so that what else the machine does falls on all alike. Without its work on a password, an unknown user would
 * be answered in a tenth of the time: the bounds are far from both that and the noise.
 */
test("an unknown user takes as long as a wrong password", async () => {
  const env = {
    LOCKOUT_FAILURES: "1000",
    LOCKOUT_NETWORK_FAILURES: "1000",
    ARGON2_MEMORY_KIB: "19456",
    ARGON2_PASSES: "2",
  };
  const replicas = await startAuthReplicas(1, env, Date.now);
  try {
    const { auth } = replicas.all[0]!;
    const wrongPassword = (username: string) => () =>
      auth.authenticate({ credential: { case: "password", value: { username, password: "wrong" } } });
    const calls = {
      known: wrongPassword("alice"),
      unknown: wrongPassword("nobody"),
      // Goes the same way but for the password.
      nothing: () => auth.authenticate({ credential: { case: "bearerToken", value: "nonsense" } }),
    };
    const times: Record<keyof typeof calls, number[]> = { known: [], unknown: [], nothing: [] };
    for (let round = 0; round < 41; round += 1) {
      for (const kind of ["known", "unknown", "nothing"] as const) {
        const startMs = performance.now();
        assert.equal(await outcome(calls[kind]()), "CREDENTIAL_NOT_VALID");
        times[kind].push(performance.now() - startMs);
      }
    }
    const [known, unknown, nothing] = [median(times.known), median(times.unknown), median(times.nothing)];
    const told = `known ${known} ms, unknown ${unknown} ms, nothing ${nothing} ms`;
    assert.ok(unknown > 0.6 * known && unknown < 1.6 * known, told);
    assert.ok(known > 3 * nothing && unknown > 3 * nothing, told);
  } finally {
    await replicas.close();
  }
});
