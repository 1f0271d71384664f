import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { generateSync, verifySync } from "otplib";
import { base32, matchTotp, otpauthUri, totpCode, totpStep } from "./totp.ts";

const secret = Buffer.from("12345678901234567890");

describe("TOTP", () => {
  it("has the codes of RFC 4226 appendix D", () => {
    const codes = "755224 287082 359152 969429 338314 254676 287922 162583 399871 520489".split(" ");
    assert.deepEqual(
      codes.map((_, counter) => totpCode(secret, counter)),
      codes,
    );
  });

  it("has the codes of RFC 6238 appendix B", () => {
    // Of the eight digits that are printed there, an app with six shows the last.
    const vectors: Readonly<Record<number, string>> = {
      59: "94287082",
      1111111109: "07081804",
      1111111111: "14050471",
      1234567890: "89005924",
      2000000000: "69279037",
      20000000000: "65353130",
    };
    for (const [seconds, code] of Object.entries(vectors)) {
      assert.equal(totpCode(secret, totpStep(Number(seconds) * 1_000)), code.slice(2));
    }
  });

  it("allows one step of drift either way, and tells which step it was", () => {
    const now = 1_800_000_015_000;
    const step = totpStep(now);
    for (const offset of [-1, 0, 1]) {
      assert.equal(matchTotp(secret, totpCode(secret, step + offset), now), step + offset);
    }
    for (const offset of [-2, 2, 100]) assert.equal(matchTotp(secret, totpCode(secret, step + offset), now), undefined);
  });

  it("matches no other text", () => {
    const now = 1_800_000_015_000;
    const code = totpCode(secret, totpStep(now));
    for (const text of ["", "000000", code.slice(1), `${code}0`, ` ${code}`, "１２３４５６", "x".repeat(1_000)]) {
      assert.equal(matchTotp(secret, text, now), undefined);
    }
  });

  it("agrees with another implementation, from the URI on", () => {
    const uri = new URL(otpauthUri(secret, "alice", "Gatehouse"));
    const shared = uri.searchParams.get("secret") ?? "";
    const code = generateSync({ secret: shared, epoch: 1_800_000_000 });
    assert.equal(matchTotp(secret, code, 1_800_000_000_000), totpStep(1_800_000_000_000));
    assert.equal(verifySync({ secret: shared, token: totpCode(secret, 60_000_000), epoch: 1_800_000_000 }).valid, true);
  });
});

describe("base32", () => {
  it("is that of RFC 4648 section 10, without padding", () => {
    const vectors = {
      "": "",
      f: "MY",
      fo: "MZXQ",
      foo: "MZXW6",
      foob: "MZXW6YQ",
      fooba: "MZXW6YTB",
      foobar: "MZXW6YTBOI",
    };
    for (const [text, encoded] of Object.entries(vectors)) assert.equal(base32(Buffer.from(text)), encoded);
  });
});

describe("an otpauth URI", () => {
  it("keeps what a name and an issuer hold out of its structure", () => {
    assert.equal(
      otpauthUri(secret, "a:b/ü?&secret=x", "Ex & Co"),
      "otpauth://totp/Ex%20%26%20Co:a%3Ab%2F%C3%BC%3F%26secret%3Dx?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" +
        "&issuer=Ex%20%26%20Co&algorithm=SHA1&digits=6&period=30",
    );
  });
});
