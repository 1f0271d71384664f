import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { describe, it } from "node:test";
import { createAuthority } from "../../../test/support/certificates.ts";
import { isListed, isSpiffeId, spiffeIdOf } from "./spiffe.ts";

describe("SPIFFE ids", () => {
  it("are told from other texts", () => {
    for (const id of ["spiffe://shop.example", "spiffe://shop.example/ns/a-b/sa/C_d.e", "spiffe://a/.../x"]) {
      assert.equal(isSpiffeId(id), true, id);
    }
    for (const text of [
      "",
      "spiffe://",
      "spiffe://Shop.example/a",
      "SPIFFE://shop.example/a",
      "spiffe://shop.example/",
      "spiffe://shop.example/a/",
      "spiffe://shop.example//a",
      "spiffe://shop.example/./a",
      "spiffe://shop.example/a/..",
      "spiffe://shop.example/%61",
      "spiffe://shop.example/a b",
      "spiffe://shop.example/a?b",
      "spiffe://shop.example:443/a",
      "spiffe://user@shop.example/a",
      "https://shop.example/a",
      "spiffe://shop.example/a\n",
      `spiffe://shop.example/${"a".repeat(2_048)}`,
    ]) {
      assert.equal(isSpiffeId(text), false, JSON.stringify(text));
    }
  });

  it("are listed whole, or by a beginning that ends with a slash", () => {
    const list = ["spiffe://shop.example/a", "spiffe://shop.example/ops/"];
    assert.equal(isListed("spiffe://shop.example/a", list), true);
    assert.equal(isListed("spiffe://shop.example/ops/b", list), true);
    assert.equal(isListed("spiffe://shop.example/ab", list), false);
    assert.equal(isListed("spiffe://shop.example/a/b", list), false);
    assert.equal(isListed("spiffe://shop.example/ops", list), false);
    assert.equal(isListed("spiffe://shop.example.evil/ops/b", list), false);
  });

  const authority = createAuthority("authority");
  const idIn = (...names: string[]): string | undefined =>
    spiffeIdOf(new X509Certificate(authority.issue({ names }).cert));

  it("are the only URI of a certificate", () => {
    assert.equal(idIn("URI:spiffe://a/b"), "spiffe://a/b");
    assert.equal(idIn("DNS:localhost", "URI:spiffe://a/b", "IP:127.0.0.1", "email:x@a.example"), "spiffe://a/b");
    assert.equal(idIn("DNS:localhost"), undefined);
    assert.equal(idIn("URI:spiffe://a/b", "URI:spiffe://a/c"), undefined);
    assert.equal(idIn("URI:spiffe://a/b", "URI:https://a.example"), undefined);
    assert.equal(idIn("URI:https://a.example"), undefined);
  });

  it("cannot be smuggled in by another name", () => {
    assert.equal(spiffeIdOf({ subjectAltName: 'DNS:"a, URI:spiffe://a/b"' }), undefined);
    assert.equal(spiffeIdOf({ subjectAltName: 'DNS:"a\\", URI:spiffe://a/b"' }), undefined);
    assert.equal(spiffeIdOf({ subjectAltName: 'URI:"spiffe://a/b, URI:spiffe://a/c"' }), undefined);
    assert.equal(spiffeIdOf({ subjectAltName: "DNS:a.URI:spiffe://a/b" }), undefined);
    assert.equal(spiffeIdOf({ subjectAltName: undefined }), undefined);
    assert.equal(idIn("email:URI@a.example"), undefined);
  });
});
