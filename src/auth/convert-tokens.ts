import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { IntrospectResponseSchema } from "../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import type { TokenSetSchema } from "../../gen/gatehouse/auth/v1/principal_pb.ts";
import { toPrincipal } from "./convert.ts";
import type { TokenDescription } from "./domain/tokens/introspection.ts";
import type { TokenSet } from "./domain/tokens/token-issuer.ts";

export function toTokenSet(tokens: TokenSet): MessageInitShape<typeof TokenSetSchema> {
  const { accessToken, expireTime, refreshToken, scopes } = tokens;
  return {
    accessToken,
    tokenType: "Bearer",
    expireTime: timestampFromMs(expireTime),
    ...(refreshToken === undefined ? {} : { refreshToken }),
    scopes: [...scopes],
  };
}

export function introspectResponse(
  description: TokenDescription | undefined,
  issuer: string,
): MessageInitShape<typeof IntrospectResponseSchema> {
  if (description === undefined) return { active: false };
  const { principal, scopes, use, clientId, audiences, sessionId, issueTime, expireTime } = description;
  return {
    active: true,
    principal: toPrincipal(principal),
    scopes: [...scopes],
    tokenUse: use,
    ...(clientId === undefined ? {} : { clientId }),
    issuer,
    audiences: [...audiences],
    ...(sessionId === undefined ? {} : { sessionId }),
    issueTime: timestampFromMs(issueTime),
    ...(expireTime === undefined ? {} : { expireTime: timestampFromMs(expireTime) }),
  };
}
