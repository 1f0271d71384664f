import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { decodeJwt } from "jose";
import { generateSync } from "otplib";
import { AuthService } from "../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { IdentityService } from "../gen/gatehouse/auth/v1/identity_service_pb.ts";
import { SecondFactorService } from "../gen/gatehouse/auth/v1/second_factor_service_pb.ts";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { outcome } from "./support/auth-replicas.ts";
import { type Deployment, startDeployment } from "./support/deployment.ts";

let deployment: Deployment;

before(async () => {
  deployment = await startDeployment({ AUTHORIZE_CONTEXT_MFA: "true" });
});
after(async () => {
  await deployment.close();
});

const transport = () => createGrpcTransport({ baseUrl: `http://127.0.0.1:${deployment.ports.auth}` });
const carol = { case: "password", value: { username: "carol", password: "a christmas carol" } } as const;

/** A code of so many time steps from now, 0 or 1: the server takes those of one step either way, should the next begin meanwhile. */
const codeOf = (secret: string, steps: number): string =>
  generateSync({ secret, epoch: Math.floor(Date.now() / 1_000) + 30 * steps });

test("a policy that asks for a second factor denies without, says so, and allows with it", async () => {
  const auth = createClient(AuthService, transport());
  const factors = createClient(SecondFactorService, transport());
  const unlock = (bearerToken: string, id = "constitution") =>
    auth.authorize({
      credential: { case: "bearerToken", value: bearerToken },
      action: { type: "Action", id: "unlock" },
      resource: { type: "Document", id },
      context: { mfa: true },
    });

  const admin = await auth.authenticate({
    credential: { case: "password", value: { username: "admin", password: "gatehouse" } },
  });
  await createClient(IdentityService, transport()).createUser(
    { name: "carol", password: carol.value.password },
    { headers: { authorization: `Bearer ${admin.sessionToken}` } },
  );
  const first = await auth.authenticate({ credential: carol });
  assert.deepEqual([first.session?.amr, first.session?.acr], [["pwd"], "aal1"]);
  const denied = await unlock(first.sessionToken);
  assert.equal(denied.allowed, false, "what the caller claims of it does not count");
  assert.deepEqual(denied.stepUp, ["mfa"]);
  const bob = await auth.authenticate({
    credential: { case: "password", value: { username: "bob", password: "builder" } },
  });
  assert.deepEqual((await unlock(bob.sessionToken)).stepUp, [], "for bob it would not help");

  const headers = { authorization: `Bearer ${first.sessionToken}` };
  const { secret } = await factors.enrolTotp({}, { headers });
  const { backupCodes } = await factors.confirmTotp({ code: codeOf(secret, 0) }, { headers });
  assert.equal(backupCodes.length, 10);
  assert.equal((await factors.getSecondFactors({}, { headers })).backupCodesLeft, 10);

  const error = await auth.authenticate({ credential: carol }).then(
    () => assert.fail("without a code"),
    (thrown: unknown) => ConnectError.from(thrown),
  );
  const [info] = error.findDetails(ErrorInfoSchema);
  assert.deepEqual([error.code, info?.reason], [Code.Unauthenticated, "SECOND_FACTOR_REQUIRED"]);
  assert.equal(info?.metadata.accepts, "totp_code,backup_code");

  const second = await auth.authenticate({
    credential: carol,
    secondFactor: { factor: { case: "totpCode", value: codeOf(secret, 1) } },
    issueTokens: true,
  });
  assert.deepEqual([second.session?.amr, second.session?.acr], [["pwd", "otp", "mfa"], "aal2"]);
  const allowed = await unlock(second.sessionToken);
  assert.equal(allowed.allowed, true);
  assert.deepEqual([allowed.determiningPolicies, allowed.stepUp], [["admins-unlock"], []]);
  const accessToken = second.tokens?.accessToken ?? "";
  const { amr, acr } = decodeJwt(accessToken);
  assert.deepEqual([amr, acr], [["pwd", "otp", "mfa"], "aal2"]);
  assert.equal((await unlock(accessToken)).allowed, true, "its tokens know of it too");
  const removal = factors.removeTotp({}, { headers: { authorization: `Bearer ${accessToken}` } });
  assert.equal(await outcome(removal), "CREDENTIAL_NOT_VALID", "but only the session changes second factors");
  assert.equal((await unlock(first.sessionToken)).allowed, false, "the session of before has not become more");
});

test("an administrator helps a user who has lost the second factor, or is kept out by others", async () => {
  const auth = createClient(AuthService, transport());
  const factors = createClient(SecondFactorService, transport());
  const identities = createClient(IdentityService, transport());
  const { sessionToken } = await auth.authenticate({
    credential: { case: "password", value: { username: "admin", password: "gatehouse" } },
  });
  const admin = { headers: { authorization: `Bearer ${sessionToken}` } };
  const signIn = (password: string) =>
    outcome(auth.authenticate({ credential: { case: "password", value: { username: "dan", password } } }));

  const enrol = async () => {
    await identities.createUser({ name: "Dan", password: "correct horse" }, admin);
    const dan = await auth.authenticate({
      credential: { case: "password", value: { username: "dan", password: "correct horse" } },
    });
    const headers = { authorization: `Bearer ${dan.sessionToken}` };
    const { secret } = await factors.enrolTotp({}, { headers });
    await factors.confirmTotp({ code: codeOf(secret, 0) }, { headers });
    assert.equal(await signIn("correct horse"), "SECOND_FACTOR_REQUIRED");
    return headers;
  };

  const headers = await enrol();
  await identities.removeSecondFactors({ name: "DAN" }, admin);
  assert.equal(await outcome(factors.getSecondFactors({}, { headers })), "CREDENTIAL_NOT_VALID", "its sessions ended");
  for (let attempt = 0; attempt < 4; attempt += 1) assert.equal(await signIn("wrong"), "CREDENTIAL_NOT_VALID");
  await identities.unlockUser({ name: "dan" }, admin);
  for (let attempt = 0; attempt < 4; attempt += 1) assert.equal(await signIn("wrong"), "CREDENTIAL_NOT_VALID");
  await identities.unlockUser({ name: "dan" }, admin);
  assert.equal(await signIn("correct horse"), "accepted");

  await identities.deleteUser({ name: "dan" }, admin);
  await enrol();
  await identities.deleteUser({ name: "dan" }, admin);
  await identities.createUser({ name: "dan", password: "correct horse" }, admin);
  assert.equal(await signIn("correct horse"), "accepted", "who comes after has nothing of the one before");
});
