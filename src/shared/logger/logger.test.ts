import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger } from "./logger.ts";

const secrets = {
  authorization: "s3cret",
  cookie: "s3cret",
  password: "s3cret",
  token: "s3cret",
  sessionToken: "s3cret",
  bearer_token: "s3cret",
  apiKey: "s3cret",
  client_secret: "s3cret",
  "x-api-key": "s3cret",
  "x-forwarded-client-cert": "s3cret",
};

test("what is named like a secret is not logged, at any depth to three", () => {
  const lines: string[] = [];
  const logger = createLogger({
    service: "test",
    destination: { write: (line: string): void => void lines.push(line) },
  });
  logger.info({ ...secrets, user: "alice" }, "top");
  logger.info({ request: { headers: secrets, user: "alice" } }, "below");
  logger.info({ call: { request: { headers: secrets } } }, "deeper");
  const output = lines.join("");
  assert.equal(lines.length, 3);
  assert.ok(!output.includes("s3cret"), output);
  assert.ok(output.includes("alice"));
});
