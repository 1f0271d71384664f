import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { looksLikeApiKey } from "../../shared/api-key-form.ts";
import { apiKeyHash, apiKeyIdOf, newApiKey, partitionOfApiKey } from "./api-key-text.ts";
import { newSessionToken, partitionOf } from "./session-keys.ts";

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

test("a key holds its id and its user's partition, and 256 bits more", () => {
  const { id, text } = newApiKey("alice", randomBytes);
  assert.match(text, /^gh_[A-Za-z0-9_-]{64}$/);
  assert.equal(apiKeyIdOf(text), id);
  assert.equal(text.slice(3, 19), id);
  assert.equal(partitionOfApiKey(id), partitionOf("alice"));
  assert.notEqual(apiKeyHash(text), apiKeyHash(newApiKey("alice", randomBytes).text));
});

test("a key of fixed bytes has a fixed text", () => {
  const { text } = newApiKey("alice", (size) => Buffer.alloc(size, 7));
  assert.equal(text, "gh_K9gHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcMGFHU");
  assert.equal(apiKeyIdOf(text), text.slice(3, 19));
});

test("no single mistyped character, and no two that changed places, is a key", () => {
  const { text } = newApiKey("alice", randomBytes);
  for (let place = 3; place < text.length; place += 1) {
    for (const character of alphabet) {
      const typed = text.slice(0, place) + character + text.slice(place + 1);
      if (typed !== text) assert.equal(apiKeyIdOf(typed), undefined, typed);
    }
    const swapped = text.slice(0, place) + (text[place + 1] ?? "") + text[place] + text.slice(place + 2);
    if (swapped !== text) assert.equal(apiKeyIdOf(swapped), undefined, swapped);
  }
});

test("a session token that begins like a key is not taken for one", () => {
  const token = newSessionToken("user-147199", (size) => Buffer.alloc(size, 255));
  assert.match(token, /^gh_/);
  assert.equal(looksLikeApiKey(token), false);
  assert.equal(looksLikeApiKey(newApiKey("user-147199", randomBytes).text), true);
});

test("what has not the shape of a key is none", () => {
  const { text } = newApiKey("alice", randomBytes);
  for (const other of [
    "",
    "gh_",
    text.slice(3),
    `${text}A`,
    text.slice(0, -1),
    ` ${text}`,
    `${text}\n`,
    text.toUpperCase(),
  ]) {
    assert.equal(apiKeyIdOf(other), undefined, other);
  }
  for (const id of ["", "x", "a".repeat(17), "*".repeat(16)]) assert.equal(partitionOfApiKey(id), undefined);
});
