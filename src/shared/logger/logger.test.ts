import assert from "node:assert/strict";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { type AuthenticateRequest, AuthenticateRequestSchema } from "../../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { createLogger, type LoggerOptions } from "./logger.ts";
import { redactMessage } from "./redact-message.ts";

/** What a logger writes. */
function written(options: Partial<LoggerOptions>, log: (logger: ReturnType<typeof createLogger>) => void): string {
  const lines: string[] = [];
  log(createLogger({ service: "test", destination: { write: (line) => void lines.push(line) }, ...options }));
  return lines.join("");
}

describe("the logger", () => {
  it("writes one JSON object a line", () => {
    const line = JSON.parse(written({}, (logger) => logger.child({ requestId: "r1" }).info({ method: "m" }, "call")));
    assert.match(line.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    delete line.time;
    assert.deepEqual(line, { level: "info", service: "test", requestId: "r1", method: "m", msg: "call" });
  });

  it("keeps to its level", () => {
    assert.equal(
      written({ level: "warn" }, (logger) => logger.info("quiet")),
      "",
    );
  });

  it("redacts what is named like a secret, at the top and below", () => {
    const secrets = {
      authorization: "Bearer s3cret",
      cookie: "s3cret",
      password: "s3cret",
      token: "s3cret",
      bearer_token: "s3cret",
      bearerToken: "s3cret",
      apiKey: "s3cret",
      clientSecret: "s3cret",
      "x-api-key": "s3cret",
      "set-cookie": ["s3cret"],
      "x-forwarded-client-cert": "s3cret",
    };
    const shapes: object[] = [
      secrets,
      { headers: secrets },
      { Headers: Object.fromEntries(Object.entries(secrets).map(([name, value]) => [name.toUpperCase(), value])) },
      { a: [{ b: secrets }] },
      { err: Object.assign(new Error("failed"), { request: { headers: secrets } }) },
    ];
    for (const shape of shapes) {
      const text = written({}, (logger) => logger.info({ ...shape, user: "alice" }));
      assert.match(text, /"user":"alice"/);
      assert.doesNotMatch(text, /s3cret/);
      assert.equal(text.match(/\[redacted\]/g)?.length, Object.keys(secrets).length);
    }
    assert.doesNotMatch(
      written({}, (logger) => logger.child(secrets).info("child")),
      /s3cret/,
    );
    assert.equal(secrets.password, "s3cret", "what is logged is not changed");
  });

  it("bounds what it logs, cycles included", () => {
    const cycle: Record<string, unknown> = { name: "a" };
    cycle.self = cycle;
    assert.match(
      written({}, (logger) => logger.info({ cycle })),
      /too deep/,
    );
  });

  it("is readable for people, and redacts there too", async () => {
    const destination = new PassThrough();
    createLogger({ service: "test", format: "pretty", destination }).info({ password: "s3cret", port: 1 }, "listens");
    const [text] = (await once(destination, "data")) as [Buffer];
    assert.match(String(text), /INFO.*listens/);
    assert.match(String(text), /port: 1/);
    assert.doesNotMatch(String(text), /s3cret/);
  });
});

describe("redactMessage", () => {
  it("hides every field that the contract marks, in every branch", () => {
    const credentials: AuthenticateRequest["credential"][] = [
      create(AuthenticateRequestSchema, {
        credential: { case: "password", value: { username: "alice", password: "s3cret" } },
      }).credential,
      { case: "bearerToken", value: "s3cret" },
      { case: "apiKey", value: "s3cret" },
      { case: "externalToken", value: "s3cret" },
      create(AuthenticateRequestSchema, {
        credential: { case: "client", value: { clientId: "app", clientSecret: "s3cret" } },
      }).credential,
    ];
    for (const credential of credentials) {
      const request = create(AuthenticateRequestSchema, {
        credential,
        secondFactor: { factor: { case: "totpCode", value: "s3cret" } },
      });
      const text = JSON.stringify(redactMessage(AuthenticateRequestSchema, request));
      assert.doesNotMatch(text, /s3cret/);
      assert.equal(text.match(/\[redacted\]/g)?.length, 2);
    }
  });

  it("shows the rest", () => {
    const request = create(AuthenticateRequestSchema, {
      credential: { case: "password", value: { username: "alice", password: "s3cret" } },
      scopes: ["read"],
    });
    assert.deepEqual(redactMessage(AuthenticateRequestSchema, request), {
      password: { username: "alice", password: "[redacted]" },
      scopes: ["read"],
    });
  });
});
