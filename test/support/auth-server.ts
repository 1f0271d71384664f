import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { type CryptoKey, importJWK } from "jose";
import { AuthService } from "../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import { createAuthApp } from "../../src/auth/app.ts";
import { authFields } from "../../src/auth/config.ts";
import type { Clock } from "../../src/auth/domain/clock.ts";
import { createSecretBox } from "../../src/auth/domain/secret-box.ts";
import { type KeyPair, openKeyRecord, openPrivateJwk } from "../../src/auth/domain/tokens/key-pair.ts";
import { openStores, type Stores } from "../../src/auth/stores.ts";
import { readConfig } from "../../src/shared/config/config.ts";
import { createLogger } from "../../src/shared/logger/logger.ts";
import { freePort } from "./ports.ts";

/** auth-service in this process with the demo's users, on a store of its own unless one is given. */
export interface AuthServer {
  /** URL of the HTTP edge, and the issuer of its tokens. */
  readonly url: string;
  /** Host and port of the gRPC port. */
  readonly grpcAddress: string;
  readonly client: Client<typeof AuthService>;
  /** Another connection to its store. */
  readonly stores: Stores;
  /** Its signing keys, private parts included. */
  keys(): Promise<readonly KeyPair[]>;
  /** Its first private key, for the use with another algorithm than its own. */
  privateKey(algorithm: string): Promise<CryptoKey>;
  close(): Promise<void>;
}

export interface AuthServerOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
}

/** Encrypts the signing keys of every server of a test process. */
const encryptionKey = randomBytes(32);

export async function startAuthServer({ env = {}, clock = Date.now }: AuthServerOptions = {}): Promise<AuthServer> {
  const dataDir = mkdtempSync(join(tmpdir(), "gatehouse-auth-"));
  const [grpcPort, httpPort] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${httpPort}`;
  const config = readConfig(authFields, {
    GATEHOUSE_PROFILE: "demo",
    DATA_DIR: dataDir,
    AUTH_GRPC_PORT: String(grpcPort),
    AUTH_HTTP_PORT: String(httpPort),
    AUTH_ISSUER: url,
    AUTH_ENCRYPTION_KEY: encryptionKey.toString("base64"),
    ARGON2_MEMORY_KIB: "8192",
    ARGON2_PASSES: "1",
    DRAIN_GRACE: "1s",
    // What a slow machine takes longer for is not to be refused.
    OVERLOAD_TARGET_DELAY: "60s",
    OVERLOAD_INTERVAL: "60s",
    ...env,
  });
  const logger = createLogger({ service: "test", level: "silent" });
  const app = createAuthApp(config, logger, { clock });
  const stores = openStores({ ...config, logger, check: { set: () => undefined }, clock });
  await stores.ready(AbortSignal.timeout(5_000));
  await app.start();
  return {
    url,
    grpcAddress: `127.0.0.1:${grpcPort}`,
    client: createClient(AuthService, createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpcPort}` })),
    stores,
    async keys() {
      const { keys } = await stores.signingKeys.load();
      const box = createSecretBox([encryptionKey], randomBytes);
      return await Promise.all(keys.map((record) => openKeyRecord(record, box)));
    },
    async privateKey(algorithm) {
      const [record] = (await stores.signingKeys.load()).keys;
      if (record === undefined) throw new Error("There is no signing key.");
      const jwk = openPrivateJwk(record, createSecretBox([encryptionKey], randomBytes));
      return (await importJWK(jwk, algorithm)) as CryptoKey;
    },
    async close() {
      await app.stop();
      await stores.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Signs in as a user of the demo and asks for tokens. */
export async function signIn(
  client: Client<typeof AuthService>,
  scopes: readonly string[] = [],
  username = "alice",
  password: string = username === "alice" ? "wonderland" : "builder",
): Promise<{
  readonly sessionToken: string;
  readonly sessionId: string;
  readonly accessToken: string;
  readonly refreshToken: string;
}> {
  const { session, sessionToken, tokens } = await client.authenticate({
    credential: { case: "password", value: { username, password } },
    issueTokens: true,
    scopes: [...scopes],
  });
  return {
    sessionToken,
    sessionId: session?.id ?? "",
    accessToken: tokens?.accessToken ?? "",
    refreshToken: tokens?.refreshToken ?? "",
  };
}

/** The code and the reason of a refusal, or `accepted`. */
export async function refusal(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "accepted";
  } catch (error) {
    const { code, findDetails } = error as { code: number; findDetails?: unknown };
    if (typeof findDetails !== "function") throw error;
    return String(code);
  }
}
