import assert from "node:assert/strict";
import { it } from "node:test";
import { foldUserName } from "./user-name.ts";

/** Names that are one, written as their owners might. */
const same: readonly (readonly string[])[] = [
  ["alice", "Alice", "ALICE", "ａｌｉｃｅ", "𝐀lice"],
  ["straße", "STRASSE", "Strasse", "STRAẞE"],
  ["josé", "jose\u0301", "JOSÉ"],
  ["οδυσσευς", "ΟΔΥΣΣΕΥΣ", "οδυσσευσ"],
  ["ﬁona", "Fiona"],
  ["İnci", "i\u0307nci"],
];

for (const names of same) {
  it(`takes ${names.join(", ")} for one name`, () => {
    assert.equal(new Set(names.map(foldUserName)).size, 1);
  });
}

it("keeps different names apart", () => {
  const names = ["alice", "al1ce", "аlice" /* Cyrillic а */, "ırmak", "irmak", "alice "];
  assert.equal(new Set(names.map(foldUserName)).size, names.length);
});

it("changes a folded name no more", () => {
  for (const name of same.flat()) assert.equal(foldUserName(foldUserName(name)), foldUserName(name));
});
