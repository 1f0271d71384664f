import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatPhc, parsePhc } from "./phc.ts";

// Made by the reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 (RFC 9106 argon2id, version 19).
const reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

describe("the PHC string format", () => {
  it("reads and writes what the reference implementation does", () => {
    const hash = parsePhc(reference);
    assert.ok(hash);
    assert.deepEqual(hash.parameters, { memoryKib: 65_536, passes: 2, parallelism: 1 });
    assert.equal(Buffer.from(hash.salt).toString(), "somesalt");
    assert.equal(formatPhc(hash), reference);
  });

  for (const [what, text] of Object.entries({
    "another algorithm": reference.replace("argon2id", "argon2i"),
    "another version": reference.replace("v=19", "v=16"),
    "too little memory for its lanes": reference.replace("m=65536", "m=7"),
    "an absurd amount of work": reference.replace("m=65536,t=2", "m=99999999,t=999"),
    "no tag": reference.slice(0, reference.lastIndexOf("$")),
    "a tag that is not base64": `${reference}!`,
    "nothing at all": "",
  })) {
    it(`is refused with ${what}`, () => assert.equal(parsePhc(text), undefined));
  }
});
