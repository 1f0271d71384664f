import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { hashBackupCode, newBackupCodes } from "./backup-codes.ts";

describe("backup codes", () => {
  it("are ten, all different, of 80 bits", () => {
    const codes = newBackupCodes(randomBytes);
    assert.equal(new Set(codes).size, 10);
    for (const code of codes) assert.match(code, /^([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}$/);
    assert.deepEqual(newBackupCodes((size) => new Uint8Array(size).fill(0xff))[0], "ZZZZ-ZZZZ-ZZZZ-ZZZZ");
    assert.deepEqual(
      newBackupCodes((size) => Uint8Array.from({ length: size }, (_, at) => at))[0],
      "000G-40R4-0M30-E209",
    );
  });

  it("are the same however they are typed", () => {
    const kept = hashBackupCode("alice", "70ZP-14M8-T9XK-B2C6");
    assert.ok(kept);
    for (const typed of ["70zp14m8t9xkb2c6", " 70ZP 14M8 T9XK B2C6 ", "7oZP-L4M8-T9XK-B2C6", "7Ozp-i4m8-t9xk-b2c6"]) {
      assert.equal(hashBackupCode("alice", typed), kept);
    }
  });

  it("are one user's alone", () => {
    const code = newBackupCodes(randomBytes)[0] ?? "";
    assert.notEqual(hashBackupCode("alice", code), hashBackupCode("bob", code));
  });

  for (const text of [
    "",
    "7QZP-04M8-T9XK-B2C",
    "7QZP-04M8-T9XK-B2C6-0",
    "UUUU-UUUU-UUUU-UUUU",
    "７QZP-04M8-T9XK-B2C6",
  ]) {
    it(`are not "${text}"`, () => assert.equal(hashBackupCode("alice", text), undefined));
  }
});
