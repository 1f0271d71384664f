import { KeyObject } from "node:crypto";
import { createServer as createPlain, type RequestListener, type Server } from "node:http";
import { createServer as createSecure } from "node:https";
import type { AddressInfo } from "node:net";
import { exportJWK, type GenerateKeyPairResult, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";

/** An issuer of tokens on loopback, with discovery and a JWK set, which can be made to misbehave. */
export interface TestIssuer {
  readonly url: string;
  /** Keys it publishes, by their ids. */
  readonly keys: Map<string, IssuerKey>;
  /** What it does when it is asked for its keys; undefined: answers them. */
  onKeys: RequestListener | undefined;
  /** The discovery document. */
  discovery: Record<string, unknown>;
  /** How often the keys were asked for. */
  fetches: number;
  /** Values of `authorization` of the requests. */
  readonly authorizations: (string | undefined)[];
  addKey(keyId: string, algorithm?: string): Promise<IssuerKey>;
  /** A token that it signs, good for five minutes and for `gatehouse` unless the claims say otherwise. */
  sign(claims?: Claims, options?: SignOptions): Promise<string>;
  /** Refuses connections, on its port. */
  goDown(): Promise<void>;
  comeBack(): Promise<void>;
}

/** Claims in place of those that it makes; undefined ones are left out. */
export type Claims = { readonly [name: string]: unknown };

export interface IssuerKey {
  readonly keyId: string;
  readonly algorithm: string;
  readonly pair: GenerateKeyPairResult;
  readonly publicJwk: JWK;
}

export interface SignOptions {
  /** The key that signs. Default: the first. */
  readonly key?: IssuerKey;
  readonly header?: Record<string, unknown>;
}

export interface TestIssuerOptions {
  /** Serves by TLS with this key and certificate, in PEM. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** `iss`. Default: its URL. */
  readonly name?: string;
}

export async function startIssuer({ tls, name }: TestIssuerOptions = {}): Promise<TestIssuer> {
  let server: Server | undefined;
  let port = 0;
  const scheme = tls === undefined ? "http" : "https";

  const answer: RequestListener = (request, response) => {
    issuer.authorizations.push(request.headers.authorization);
    if (request.url?.endsWith("/.well-known/openid-configuration")) {
      response.end(JSON.stringify(issuer.discovery));
      return;
    }
    issuer.fetches += 1;
    const own = { keys: [...issuer.keys.values()].map(({ publicJwk }) => publicJwk) };
    if (issuer.onKeys === undefined) response.end(JSON.stringify(own));
    else issuer.onKeys(request, response);
  };

  async function listen(): Promise<void> {
    server = tls === undefined ? createPlain(answer) : createSecure(tls, answer);
    await new Promise<void>((resolve) => server?.listen(port, "127.0.0.1", resolve));
    ({ port } = server.address() as AddressInfo);
  }

  await listen();
  const url = `${scheme}://127.0.0.1:${port}`;
  const issuer: TestIssuer = {
    url,
    keys: new Map(),
    onKeys: undefined,
    discovery: { issuer: name ?? url, jwks_uri: `${url}/keys` },
    fetches: 0,
    authorizations: [],
    async addKey(keyId, algorithm = "RS256") {
      const pair = await generateKeyPair(algorithm, { extractable: true });
      const publicJwk = { ...(await exportJWK(pair.publicKey)), kid: keyId, alg: algorithm, use: "sig" };
      const key = { keyId, algorithm, pair, publicJwk };
      issuer.keys.set(keyId, key);
      return key;
    },
    async sign(claims = {}, { key = issuer.keys.values().next().value, header = {} } = {}) {
      if (key === undefined) throw new Error("the issuer has no key");
      const now = Math.floor(Date.now() / 1_000);
      const payload: JWTPayload = {
        iss: name ?? url,
        aud: "gatehouse",
        sub: "carol",
        iat: now,
        exp: now + 300,
        ...(claims as JWTPayload),
      };
      return await new SignJWT(payload)
        .setProtectedHeader({ alg: key.algorithm, kid: key.keyId, ...header })
        // The same key whatever the algorithm: a CryptoKey is for one.
        .sign(KeyObject.from(key.pair.privateKey));
    },
    async goDown() {
      server?.closeAllConnections();
      await new Promise((resolve) => server?.close(resolve) ?? resolve(undefined));
      server = undefined;
    },
    comeBack: listen,
  };
  return issuer;
}
