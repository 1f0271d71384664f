import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { AuthService } from "../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import type { Replica } from "./mesh.ts";

const passwords = { alice: "wonderland", bob: "builder" } as const;

/** Signs a user of the demo in at one replica, and gives the token of the session. */
export async function signIn(replica: Replica | undefined, user: keyof typeof passwords): Promise<string> {
  const transport = createConnectTransport({ baseUrl: `http://127.0.0.1:${replica?.httpPort}`, httpVersion: "1.1" });
  const password = { username: user, password: passwords[user] };
  const { sessionToken } = await createClient(AuthService, transport).authenticate({
    credential: { case: "password", value: password },
  });
  return sessionToken;
}
