import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseRedisUrl, RedisUrlError } from "./redis-url.ts";

describe("a Redis URL", () => {
  it("names one server", () => {
    assert.deepEqual(parseRedisUrl("redis://cache"), {
      kind: "single",
      nodes: [{ host: "cache", port: 6_379 }],
      tls: false,
      database: 0,
    });
  });

  it("asks for TLS and holds a percent-encoded account and a database", () => {
    assert.deepEqual(parseRedisUrl("rediss://app:p%40ss%3A1@[::1]:7000/3"), {
      kind: "single",
      nodes: [{ host: "::1", port: 7_000 }],
      tls: true,
      database: 3,
      username: "app",
      password: "p@ss:1",
    });
  });

  it("may hold a password without a user", () => {
    const { username, password } = parseRedisUrl("redis://:secret@cache");
    assert.deepEqual([username, password], [undefined, "secret"]);
  });

  it("names some nodes of a cluster", () => {
    const address = parseRedisUrl("rediss+cluster://:secret@a:7001,b,10.0.0.3:7003");
    assert.equal(address.kind, "cluster");
    assert.equal(address.tls, true);
    assert.deepEqual(
      address.nodes.map(({ host, port }) => `${host}:${port}`),
      ["a:7001", "b:6379", "10.0.0.3:7003"],
    );
  });

  it("names sentinels and their primary", () => {
    const address = parseRedisUrl("redis+sentinel://s1,s2:5000/main/2");
    assert.equal(address.kind, "sentinel");
    assert.equal(address.primary, "main");
    assert.equal(address.database, 2);
    assert.deepEqual(
      address.nodes.map(({ port }) => port),
      [26_379, 5_000],
    );
  });

  for (const [what, url] of Object.entries({
    "another scheme": "http://user:hunter2@cache",
    "no host": "redis://:hunter2@",
    "several hosts of one server": "redis://:hunter2@a,b",
    "a port out of range": "redis://:hunter2@a:70000",
    "a host with a space": "redis://:hunter2@a b",
    "a database of a cluster": "redis+cluster://:hunter2@a,b/1",
    "a database that is no number": "redis://:hunter2@a/one",
    "sentinels without a primary": "redis+sentinel://:hunter2@a,b",
    "a password that is not percent-encoded": "redis://:hunter2%zz@a",
    "a password with a slash": "redis://:hunter2/@a",
  })) {
    it(`is refused with ${what}, without repeating the password`, () => {
      assert.throws(
        () => parseRedisUrl(url),
        (error: unknown) => {
          assert.ok(error instanceof RedisUrlError);
          assert.doesNotMatch(`${error.message} ${error.stack}`, /hunter2/);
          return true;
        },
      );
    });
  }
});
