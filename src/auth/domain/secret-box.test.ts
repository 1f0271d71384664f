import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { createSecretBox, parseEncryptionKeys, SecretBoxError } from "./secret-box.ts";

const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];
const secret = Buffer.from("twenty bytes of it..");
const box = createSecretBox([oldKey], randomBytes);

describe("a secret box", () => {
  it("opens what it sealed, and never seals alike", () => {
    const sealed = box.seal(secret, "totp:alice");
    assert.deepEqual(box.open(sealed, "totp:alice"), secret);
    assert.notEqual(box.seal(secret, "totp:alice"), sealed);
    assert.ok(!Buffer.from(sealed.split(".")[2] ?? "", "base64url").includes(secret));
  });

  it("is AES-256-GCM as published (test case 14 of the GCM specification)", () => {
    const zeros = createSecretBox([new Uint8Array(32)], (size) => new Uint8Array(size));
    const body = Buffer.from(zeros.seal(new Uint8Array(16), "").split(".")[2] ?? "", "base64url");
    assert.equal(body.subarray(12).toString("hex"), "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
  });

  it("does not open in another place", () => {
    assert.throws(() => box.open(box.seal(secret, "totp:alice"), "totp:mallory"), SecretBoxError);
  });

  it("does not open once a single bit is changed, or cut short", () => {
    const sealed = box.seal(secret, "totp:alice");
    const [version, id, text = ""] = sealed.split(".");
    const body = Buffer.from(text, "base64url");
    for (let bit = 0; bit < 8 * body.length; bit += 1) {
      const changed = Buffer.from(body);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      assert.throws(() => box.open(`${version}.${id}.${changed.toString("base64url")}`, "totp:alice"), SecretBoxError);
    }
    for (let length = 0; length < body.length; length += 1) {
      const short = body.subarray(0, length).toString("base64url");
      assert.throws(() => box.open(`${version}.${id}.${short}`, "totp:alice"), SecretBoxError);
    }
    for (const nonsense of ["", "v1", `v2.${id}.${text}`, `${sealed}.x`]) {
      assert.throws(() => box.open(nonsense, "totp:alice"), SecretBoxError);
    }
  });

  it("opens what an old key sealed while that key is still listed, and seals with the first", () => {
    const sealed = box.seal(secret, "totp:alice");
    const both = createSecretBox([newKey, oldKey], randomBytes);
    const renewed = createSecretBox([newKey], randomBytes);
    assert.deepEqual(both.open(sealed, "totp:alice"), secret);
    assert.deepEqual(renewed.open(both.seal(secret, "totp:alice"), "totp:alice"), secret);
    assert.throws(() => renewed.open(sealed, "totp:alice"), SecretBoxError);
  });

  it("takes keys of 32 bytes in base64, and repeats none that is not", () => {
    const text = `${newKey.toString("base64url")}, ${oldKey.toString("base64")}`;
    assert.deepEqual(parseEncryptionKeys(text).map(Buffer.from), [newKey, oldKey]);
    for (const wrong of [
      "hunter2",
      "",
      randomBytes(31).toString("base64"),
      `${newKey.toString("base64")},`,
      "!".repeat(44),
    ]) {
      assert.throws(
        () => parseEncryptionKeys(wrong),
        (error: unknown) => error instanceof SecretBoxError && !error.message.includes("hunter2"),
      );
    }
  });
});
