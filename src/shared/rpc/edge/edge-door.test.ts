import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { statusCodes } from "../../service-error.ts";
import { frame, rawGrpc } from "../testing/raw-grpc.ts";
import { evaluateRequest, startTestHost, type TestHost } from "../testing/test-host.ts";

const evaluate = "/gatehouse.policy.v1.PolicyService/Evaluate";

describe("the HTTP edge", () => {
  let host: TestHost;
  before(async () => {
    host = await startTestHost();
  });
  after(() => host.stop());

  async function post(
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = {},
    path = evaluate,
  ): Promise<{ status: number; code?: string; message?: string; reason?: string; id?: string }> {
    const response = await fetch(`http://127.0.0.1:${host.httpPort}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body,
    });
    const text = await response.text();
    const json = text.startsWith("{") ? JSON.parse(text) : {};
    return {
      status: response.status,
      code: json.code,
      message: json.message,
      reason: json.details?.[0]?.debug?.reason,
      id: json.decisionId,
    };
  }

  const servesOn = async (): Promise<void> =>
    assert.equal((await post(JSON.stringify(evaluateRequest({ id: "sync" })))).id, "sync");

  it("answers JSON as curl sends it", servesOn);

  it("refuses bytes that are no message, in every protocol", async () => {
    const malformed = new Uint8Array([0xff, 0x01, 0xff]);
    const unary = await post(malformed, { "content-type": "application/proto" });
    assert.deepEqual([unary.status, unary.code, unary.reason], [400, "invalid_argument", "MALFORMED_MESSAGE"]);
    assert.equal(unary.message, "The message is malformed.");
    const grpc = await rawGrpc(host.httpPort, evaluate, [frame(malformed)]);
    assert.deepEqual([grpc.status, grpc.reason], [statusCodes.INVALID_ARGUMENT, "MALFORMED_MESSAGE"]);
    const web = await fetch(`http://127.0.0.1:${host.httpPort}${evaluate}`, {
      method: "POST",
      headers: { "content-type": "application/grpc-web+proto" },
      body: new Uint8Array(frame(malformed)),
    });
    assert.match(`${web.headers.get("grpc-status")}${await web.text()}`, /grpc-status: 3|^3/);
    await servesOn();
  });

  it("refuses text that is not UTF-8", async () => {
    const body = new Uint8Array(Buffer.from("0a040a02c328", "hex"));
    const answer = await post(body, { "content-type": "application/proto" });
    assert.deepEqual([answer.status, answer.reason], [400, "MALFORMED_MESSAGE"]);
  });

  it("refuses JSON that is no JSON, misspelt fields, and wrong types", async () => {
    for (const body of ["{", '{"prinzipal": {}}', '{"principal": {"type": 1}}', "[]"]) {
      const answer = await post(body);
      assert.deepEqual(
        [answer.status, answer.code, answer.reason],
        [400, "invalid_argument", "MALFORMED_MESSAGE"],
        body,
      );
    }
    await servesOn();
  });

  it("refuses a lone surrogate, naming its field", async () => {
    const inContext = JSON.stringify(evaluateRequest({ id: "sync" })).replace(/}$/, ',"context":{"a":"\\ud800"}}');
    const inKey = JSON.stringify(evaluateRequest({ id: "sync" })).replace(/}$/, ',"context":{"\\ud800":1}}');
    for (const body of [inContext, inKey]) {
      const answer = await post(body);
      assert.deepEqual([answer.status, answer.reason], [400, "INVALID_REQUEST"]);
      assert.match(answer.message ?? "", /^context\./);
    }
  });

  it("refuses nesting that would exhaust the stack", async () => {
    const nested = "[".repeat(100_000) + "]".repeat(100_000);
    const answer = await post(
      JSON.stringify(evaluateRequest({ id: "sync" })).replace(/}$/, `,"context":{"a":${nested}}}`),
    );
    assert.equal(answer.status, 400);
    await servesOn();
  });

  it("refuses a deadline that has passed, and one that is none", async () => {
    const body = JSON.stringify(evaluateRequest({ id: "sync" }));
    assert.equal((await post(body, { "connect-timeout-ms": "0" })).code, "deadline_exceeded");
    assert.equal((await post(body, { "connect-timeout-ms": "soon" })).code, "invalid_argument");
  });

  it("refuses a message over the limit", async () => {
    const answer = await post(JSON.stringify(evaluateRequest({ id: "sync", context: { big: "x".repeat(2_000_000) } })));
    assert.deepEqual([answer.status, answer.reason], [429, "MESSAGE_TOO_LARGE"]);
    await servesOn();
  });

  it("answers 404 and 405 for what there is not", async () => {
    assert.equal((await post("{}", {}, "/gatehouse.policy.v1.PolicyService/Nothing")).status, 404);
    assert.equal((await post("{}", {}, "/livez")).status, 405);
    assert.match(await host.metrics.render(), /service_requests_total\{method="unknown",code="UNIMPLEMENTED"/);
  });

  it("tells whether it is ready, and why not", async () => {
    const ready = async (): Promise<[number, unknown]> => {
      const response = await fetch(`http://127.0.0.1:${host.httpPort}/readyz`);
      return [response.status, await response.json()];
    };
    assert.deepEqual(await ready(), [200, { ready: true, checks: { policies: { ready: true } } }]);
    host.check.set(false, "no policy set");
    assert.deepEqual(await ready(), [
      503,
      { ready: false, checks: { policies: { ready: false, detail: "no policy set" } } },
    ]);
    host.check.set(true);
    assert.equal((await fetch(`http://127.0.0.1:${host.httpPort}/livez`)).status, 200);
  });

  it("shows metrics", async () => {
    const response = await fetch(`http://127.0.0.1:${host.httpPort}/metrics`);
    assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
    assert.match(await response.text(), /service_active_connections\{service="test"} [1-9]/);
  });

  it("refuses headers over the limit with 431, over HTTP/1.1 and HTTP/2", async () => {
    const big = "x".repeat(40_000);
    const response = await fetch(`http://127.0.0.1:${host.httpPort}/livez`, { headers: { "x-big": big } });
    assert.equal(response.status, 431);
    const session = connectHttp2(`http://127.0.0.1:${host.httpPort}`);
    const stream = session.request({ ":path": "/livez", "x-big": big });
    const [headers] = await once(stream, "response");
    assert.equal(headers[":status"], 431);
    session.destroy();
  });

  it("understands a preface and a request that come in pieces", async () => {
    // A SETTINGS frame, and "HTTP/1.1 405", in hex.
    for (const [first, rest, answer] of [
      ["PR", "I * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", /^0000..04/],
      ["P", "UT /livez HTTP/1.1\r\nhost: a\r\n\r\n", /^485454502f312e3120343035/],
    ] as const) {
      const socket = connect(host.httpPort, "127.0.0.1");
      socket.write(first);
      await new Promise((resolve) => setTimeout(resolve, 20));
      socket.write(rest, "latin1");
      const [data] = (await once(socket, "data")) as [Buffer];
      assert.match(data.toString("hex"), answer);
      socket.destroy();
    }
  });

  it("survives what is neither HTTP/1.1 nor HTTP/2", async () => {
    const socket = connect(host.httpPort, "127.0.0.1");
    socket.write(Buffer.from("160301020001000", "hex"));
    await once(socket.resume(), "close");
    await servesOn();
  });
});
