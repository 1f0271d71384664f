import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { WatchRevocationsResponseSchema } from "../../gen/gatehouse/auth/v1/auth_service_pb.ts";
import type { Revocation as RevocationMessage, RevocationSchema } from "../../gen/gatehouse/bus/v1/topics_pb.ts";
import type { AnnouncedRevocation } from "./domain/revocation-feed.ts";
import type { BegunRevocation } from "./domain/revocation-journal.ts";
import type { Revocation } from "./domain/revocations.ts";

/** @param retentionMs How long tokens can outlive the revocation of their user or client. */
export function toRevocationMessage(
  { revocation, time }: BegunRevocation,
  retentionMs: number,
): MessageInitShape<typeof RevocationSchema> {
  const expireTime = expireTimeOf(revocation, time + retentionMs);
  return {
    subject: toSubject(revocation),
    revokeTime: timestampFromMs(time),
    ...(expireTime === undefined ? {} : { expireTime: timestampFromMs(expireTime) }),
  };
}

/** Undefined for a kind that this version does not know. */
export function fromRevocationMessage({ subject, expireTime }: RevocationMessage): Revocation | undefined {
  switch (subject.case) {
    case "tokenId":
      return {
        kind: "token",
        tokenId: subject.value,
        expireTime: expireTime === undefined ? 0 : timestampMs(expireTime),
      };
    case "sessionId":
    // A family of refresh tokens goes by the id of its session.
    case "refreshFamilyId":
      return { kind: "session", sessionId: subject.value };
    case "user":
      return { kind: "user", user: subject.value };
    case "client":
      return { kind: "client", client: subject.value };
    case "apiKeyId":
      return { kind: "apiKey", keyId: subject.value };
    case undefined:
      return undefined;
  }
}

export function toWatchResponse(
  entry: { readonly position: string } | AnnouncedRevocation,
): MessageInitShape<typeof WatchRevocationsResponseSchema> {
  const { position } = entry;
  if (!("revocation" in entry)) return { position };
  const { revocation, time } = entry;
  return {
    position,
    createTime: timestampFromMs(time),
    ...(revocation === undefined ? {} : { subject: toSubject(revocation) }),
  };
}

function toSubject(revocation: Revocation) {
  switch (revocation.kind) {
    case "token":
      return { case: "tokenId", value: revocation.tokenId } as const;
    case "session":
      return { case: "sessionId", value: revocation.sessionId } as const;
    case "user":
      return { case: "user", value: revocation.user } as const;
    case "client":
      return { case: "client", value: revocation.client } as const;
    case "apiKey":
      return { case: "apiKeyId", value: revocation.keyId } as const;
  }
}

function expireTimeOf(revocation: Revocation, ofSubjects: number): number | undefined {
  switch (revocation.kind) {
    case "token":
      return revocation.expireTime;
    case "user":
    case "client":
      return ofSubjects;
    case "session":
    case "apiKey":
      return undefined;
  }
}
