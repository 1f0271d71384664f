import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { type AuthenticateRequestSchema, AuthService } from "../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { readConfig } from "../shared/config/config.ts";
import type { ServiceApp } from "../shared/lifecycle/run-service.ts";
import { createLogger } from "../shared/logger/logger.ts";
import { createAuthApp } from "./app.ts";
import { authFields } from "./config.ts";

type Credential = NonNullable<MessageInitShape<typeof AuthenticateRequestSchema>["credential"]>;

const password = (username: string, secret: string): Credential => ({
  case: "password",
  value: { username, password: secret },
});
const bearer = (token: string) => ({ case: "bearerToken", value: token }) as const;

async function refusal(call: Promise<unknown>) {
  const error = await call.then(
    () => assert.fail("It was not refused."),
    (thrown: unknown) => ConnectError.from(thrown),
  );
  const fields = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  return {
    code: Code[error.code],
    message: error.rawMessage,
    reason: error.findDetails(ErrorInfoSchema)[0]?.reason,
    fields: fields.map(({ field }) => field),
    retryDelay: error.findDetails(RetryInfoSchema)[0]?.retryDelay,
    text: `${error.message} ${JSON.stringify(error.details)} ${[...error.metadata]}`,
  };
}

describe("auth-service", () => {
  let directory: string;
  let app: ServiceApp;
  let client: Client<typeof AuthService>;
  let edge: string;
  let logs = "";

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), "gatehouse-auth-"));
    const config = readConfig(authFields, {
      GATEHOUSE_PROFILE: "demo",
      AUTH_GRPC_PORT: "0",
      AUTH_HTTP_PORT: "0",
      DATA_DIR: directory,
      // The cases make many failures of the same user.
      LOCKOUT_FAILURES: "1000",
      // Nobody listens there.
      POLICY_ADDRESS: "127.0.0.1:1",
    });
    const destination = {
      write(line: string): void {
        logs += line;
      },
    };
    app = createAuthApp(config, createLogger({ service: "auth-service", level: "trace", destination }));
    const { grpcPort, httpPort } = await app.start();
    client = createClient(AuthService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpcPort}` }));
    edge = `http://127.0.0.1:${httpPort}/gatehouse.auth.v1.AuthService`;
  });
  after(async () => {
    await app.stop();
    rmSync(directory, { recursive: true });
  });

  function authenticate(credential: Credential, scopes?: string[]) {
    const request = { credential, issueTokens: scopes !== undefined, scopes: scopes ?? [] };
    return client.authenticate(request as MessageInitShape<typeof AuthenticateRequestSchema>);
  }

  async function postJson(method: string, body: string): Promise<{ status: number; text: string }> {
    const response = await fetch(`${edge}/${method}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    return { status: response.status, text: await response.text() };
  }

  it("opens a session for a password, and knows its token", async () => {
    const opened = await client.authenticate({ credential: password("ALICE", "wonderland") });
    assert.deepEqual([opened.principal?.id, opened.principal?.roles], ["alice", ["editor"]]);
    assert.deepEqual(opened.session?.amr, ["pwd"]);
    assert.equal(opened.expireTime, undefined);
    const known = await client.authenticate({ credential: bearer(opened.sessionToken) });
    assert.equal(known.session?.id, opened.session?.id);
    assert.equal(known.sessionToken, "");
    assert.deepEqual(known.expireTime, known.session?.idleExpireTime);
  });

  it("answers an unknown user and a wrong password alike", async () => {
    const [unknown, wrong, token] = await Promise.all([
      refusal(client.authenticate({ credential: password("nobody", "wonderland") })),
      refusal(client.authenticate({ credential: password("alice", "builder") })),
      refusal(client.authenticate({ credential: bearer("no such token") })),
    ]);
    const { text: _, ...answer } = unknown;
    assert.deepEqual(answer, {
      code: "Unauthenticated",
      message: "The credential is not valid.",
      reason: "CREDENTIAL_NOT_VALID",
      fields: [],
      retryDelay: undefined,
    });
    for (const { text: _text, ...other } of [wrong, token]) assert.deepEqual(other, answer);
  });

  it("takes its time over an unknown user as over a wrong password", async () => {
    const times = { nobody: [] as number[], alice: [] as number[] };
    for (let round = 0; round < 15; round += 1) {
      for (const user of ["nobody", "alice"] as const) {
        const start = performance.now();
        await refusal(client.authenticate({ credential: password(user, "guess") }));
        times[user].push(performance.now() - start);
      }
    }
    const median = (values: number[]): number => values.toSorted((a, b) => a - b)[7]!;
    const ratio = median(times.nobody) / median(times.alice);
    // One that skipped the hash would be more than ten times as fast.
    assert.ok(ratio > 1 / 3 && ratio < 3, `unknown to wrong: ${ratio}`);
  });

  const notYet: Readonly<Record<string, Credential>> = {
    "an external token": { case: "externalToken", value: "x.y.z" },
    "the peer itself": { case: "peer", value: {} },
  };
  for (const [what, credential] of Object.entries(notYet)) {
    it(`says that it does not accept ${what}`, async () => {
      const { code, reason } = await refusal(authenticate(credential));
      assert.deepEqual([code, reason], ["Unimplemented", "CREDENTIAL_NOT_SUPPORTED"]);
    });
  }

  it("does not ignore what it cannot do", async () => {
    const credential = password("alice", "wonderland");
    const secondFactor = { factor: { case: "totpCode", value: "123456" } } as const;
    assert.equal((await refusal(authenticate(credential, ["admin"]))).reason, "SCOPE_NOT_ALLOWED");
    assert.equal(
      (await refusal(client.authenticate({ credential, secondFactor }))).reason,
      "SECOND_FACTOR_NOT_VALID",
      "alice has none, so no code of hers is right",
    );
    const misplaced = await refusal(client.authenticate({ credential: bearer("x"), secondFactor }));
    assert.deepEqual([misplaced.code, misplaced.fields], ["InvalidArgument", ["second_factor"]]);
  });

  const faulty: Readonly<Record<string, readonly [Credential, field: string]>> = {
    "no credential": [{ case: undefined }, "credential"],
    "an empty user name": [password("", "x"), "password.username"],
    "an empty password": [password("alice", ""), "password.password"],
    "an over-long user name": [password("a".repeat(257), "x"), "password.username"],
    "an over-long password": [password("alice", "é".repeat(513)), "password.password"],
    "an empty token": [bearer(""), "bearer_token"],
    "an over-long token": [bearer("x".repeat(16_385)), "bearer_token"],
  };
  for (const [what, [credential, field]] of Object.entries(faulty)) {
    it(`refuses ${what}, and serves on`, async () => {
      const { code, fields } = await refusal(authenticate(credential));
      assert.deepEqual([code, fields], ["InvalidArgument", [field]]);
      assert.ok((await client.authenticate({ credential: password("bob", "builder") })).sessionToken);
    });
  }

  it("refuses a lone surrogate", async () => {
    const { status, text } = await postJson(
      "Authenticate",
      String.raw`{"password":{"username":"al\ud800ce","password":"x"}}`,
    );
    assert.equal(status, 400, text);
    assert.match(text, /invalid_argument/);
  });

  it("does not permit what policy-service cannot be asked", async () => {
    const { sessionToken } = await client.authenticate({ credential: password("alice", "wonderland") });
    const access = { action: { type: "Action", id: "edit" }, resource: { type: "Document", id: "handbook" } };
    const start = performance.now();
    const refused = await refusal(
      client.authorize({ credential: bearer(sessionToken), ...access }, { timeoutMs: 2_000 }),
    );
    assert.deepEqual([refused.code, refused.reason], ["Unavailable", "POLICY_UNAVAILABLE"]);
    assert.ok(refused.retryDelay);
    assert.ok(performance.now() - start < 2_000);
    const forged = await refusal(client.authorize({ credential: bearer("forged"), ...access }));
    assert.equal(forged.code, "Unauthenticated");
  });

  it("shows no secret in its logs and errors", async () => {
    const secrets = ["hunter2-password", "K9hunter2token", "gh_hunter2key", "hunter2-client"];
    const [secretPassword, token, key, clientSecret] = secrets as [string, string, string, string];
    const opened = await client.authenticate({ credential: password("alice", "wonderland") });
    const texts: string[] = [];
    const credentials: readonly Credential[] = [
      password("alice", secretPassword),
      password("nobody", secretPassword.repeat(100)),
      bearer(token),
      bearer(token.repeat(2_000)),
      bearer(opened.sessionToken),
      { case: "apiKey", value: key },
      { case: "client", value: { clientId: "c", clientSecret } },
    ];
    for (const credential of credentials) {
      // A good token is refused for the scope that comes with it.
      const call = authenticate(credential, credential.value === opened.sessionToken ? ["admin"] : undefined);
      texts.push((await refusal(call)).text);
    }
    for (const body of [
      `{"password":{"username":"alice","password":"${secretPassword}"}}`,
      `{"password":{"username":7,"password":"${secretPassword}"}}`,
      `{"password":"${secretPassword}"}`,
      `{"password":${secretPassword}}`,
      `{"bearerToken":"${token}"`,
      `{"bearerToken":["${token}"]}`,
      `{"${key}":1}`,
    ]) {
      const { status, text } = await postJson("Authenticate", body);
      assert.notEqual(status, 200);
      texts.push(text);
    }
    assert.match(logs, /CREDENTIAL_NOT_VALID/);
    for (const secret of [...secrets.slice(0, 2), clientSecret, "wonderland", opened.sessionToken]) {
      assert.ok(!logs.includes(secret), `the log shows ${secret}`);
      assert.ok(!texts.join("\n").includes(secret), `an error shows ${secret}`);
    }
    assert.ok(!logs.includes(key), "the log shows a key");
  });
});
