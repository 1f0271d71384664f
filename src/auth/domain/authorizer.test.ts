import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type AuthorizerOptions, createAuthorizer, type DecisionRequest } from "./authorizer.ts";
import type { Attributes } from "./principal.ts";

const credential = { kind: "bearerToken", token: "t" } as const;
const action = { type: "Action", id: "edit" };
const resource = { type: "Document", id: "handbook" };

/** What the decision point is asked, given what the caller claims. */
async function asked(
  context: Attributes,
  options: Partial<AuthorizerOptions> = {},
  amr: readonly string[] = ["pwd"],
): Promise<DecisionRequest> {
  const requests: DecisionRequest[] = [];
  const authorize = createAuthorizer({
    authenticate: () => ({ principal: { type: "User", id: "alice", roles: ["editor"], attributes: {} }, amr }),
    decide: async (request) => {
      requests.push(request);
      return { allowed: true, determiningPolicies: [], revision: "1", decisionId: "d" };
    },
    findStepUps: () => assert.fail("It was allowed."),
    sendRoles: false,
    contextMfa: false,
    ...options,
  });
  await authorize(credential, { action, resource, context }, { peerAddress: "127.0.0.1" });
  assert.equal(requests.length, 1);
  return requests[0]!;
}

describe("Authorize asks the decision point", () => {
  it("with the principal of the credential and nothing else of it", async () => {
    assert.deepEqual(await asked({ ip: "10.0.0.1" }), {
      principal: { type: "User", id: "alice" },
      action,
      resource,
      context: { ip: "10.0.0.1" },
    });
  });

  it("without the caller's word on a second factor", async () => {
    assert.deepEqual((await asked({ mfa: true, x: 1 })).context, { x: 1 });
  });

  it("with the server's word on it, where policies know it", async () => {
    assert.deepEqual((await asked({ mfa: true }, { contextMfa: true })).context, { mfa: false });
    assert.deepEqual((await asked({ mfa: false }, { contextMfa: true }, ["pwd", "otp", "mfa"])).context, { mfa: true });
  });

  it("with the roles as parents, where configured", async () => {
    assert.deepEqual((await asked({}, { sendRoles: true })).parents, [{ type: "Role", id: "editor" }]);
  });
});

describe("Authorize asks what would lift a denial", () => {
  async function steps(allowed: boolean, contextMfa: boolean, amr: readonly string[]): Promise<readonly string[]> {
    const authorize = createAuthorizer({
      authenticate: () => ({ principal: { type: "User", id: "alice", roles: [], attributes: {} }, amr }),
      decide: async () => ({ allowed, determiningPolicies: [], revision: "1", decisionId: "d" }),
      findStepUps: async () => ["mfa"],
      sendRoles: false,
      contextMfa,
    });
    const access = { action, resource, context: {} };
    return (await authorize(credential, access, { peerAddress: "127.0.0.1" })).stepUp;
  }

  it("when a second factor can make a difference, and not otherwise", async () => {
    assert.deepEqual(await steps(false, true, ["pwd"]), ["mfa"]);
    assert.deepEqual(await steps(true, true, ["pwd"]), []);
    assert.deepEqual(await steps(false, false, ["pwd"]), []);
    assert.deepEqual(await steps(false, true, ["pwd", "mfa"]), []);
  });
});
