import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { AuthService } from "../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import type { Replica } from "./mesh.ts";

const passwords = { alice: "wonderland", bob: "builder" } as const;

function client(replica: Replica | undefined): Client<typeof AuthService> {
  const baseUrl = `http://127.0.0.1:${replica?.httpPort}`;
  return createClient(AuthService, createConnectTransport({ baseUrl, httpVersion: "1.1" }));
}

/** Signs a user of the demo in at one replica, and gives the token of the session. */
export async function signIn(replica: Replica | undefined, user: keyof typeof passwords): Promise<string> {
  const password = { username: user, password: passwords[user] };
  return (await client(replica).authenticate({ credential: { case: "password", value: password } })).sessionToken;
}

/** Exchanges the token of a session for an access token, a JWT. */
export async function accessTokenOf(replica: Replica | undefined, sessionToken: string): Promise<string> {
  const credential = { case: "bearerToken", value: sessionToken } as const;
  return (await client(replica).authenticate({ credential, issueTokens: true })).tokens?.accessToken ?? "";
}

/** Revokes a token, of a session or an access token, at one replica. */
export async function revoke(replica: Replica | undefined, token: string): Promise<void> {
  await client(replica).revoke({ target: { case: "token", value: token } });
}
