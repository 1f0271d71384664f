import { failure } from "../shared/audit/admin-audit.ts";
import type { AuditName, AuditRecord } from "../shared/audit/audit-event.ts";
import type { AuditRecorder } from "../shared/audit/recorder.ts";
import type { Authenticator } from "./domain/credentials/authenticator.ts";
import type { Attempt, Authentication, Credential } from "./domain/credentials/credential.ts";
import type { IdentityStore } from "./domain/identities.ts";
import { foldUserName } from "./domain/user-name.ts";

export interface AuthenticationAuditOptions {
  readonly recorder: AuditRecorder;
  readonly identities: Pick<IdentityStore, "findUser">;
  /** Share of the tokens and keys found valid that are told of, 0 to 1. */
  readonly tokenChecks: number;
}

/**
 * Tells of every attempt that an authenticator judges. Sign-ins are told of before they are answered; checks of tokens and
 * keys, which come by the thousand, at the end of the turn.
 *
 * A refused sign-in is told with the user it was for only if there is such a user: what is typed into the field of the user
 * name may be a password.
 */
export function auditAuthentications(authenticate: Authenticator, options: AuthenticationAuditOptions): Authenticator {
  const { recorder, identities, tokenChecks } = options;

  function succeeded(credential: Credential, attempt: Attempt, authentication: Authentication): Authentication {
    const isCheck = authentication.sessionToken === undefined;
    if (isCheck && tokenChecks < 1 && Math.random() >= tokenChecks) return authentication;
    const { principal, session, amr, apiKey } = authentication;
    const record: AuditRecord = {
      ...describe(credential, attempt),
      outcome: "success",
      actor: { type: principal.type, id: principal.id },
      sessionId: session?.id,
      details: {
        credential: credential.kind,
        ...(amr.length === 0 ? {} : { amr: amr.join(" ") }),
        ...(apiKey === undefined ? {} : { apiKeyId: apiKey.id }),
      },
    };
    recorder.record(record, isCheck ? "soon" : "now");
    return authentication;
  }

  function refused(credential: Credential, attempt: Attempt, error: unknown, user?: AuditName): never {
    const [outcome, reason] = failure(error);
    recorder.record({ ...describe(credential, attempt), outcome, ...reason, resource: user }, "soon");
    throw error;
  }

  async function refusedSignIn(credential: Credential, attempt: Attempt, error: unknown): Promise<never> {
    return refused(credential, attempt, error, await knownUser(credential));
  }

  async function knownUser(credential: Credential): Promise<AuditName | undefined> {
    if (credential.kind !== "password") return undefined;
    try {
      const user = await identities.findUser(foldUserName(credential.username));
      return user === undefined ? undefined : { type: "User", id: user.name };
    } catch {
      return undefined;
    }
  }

  return (credential, attempt) => {
    try {
      const authentication = authenticate(credential, attempt);
      if (!(authentication instanceof Promise)) return succeeded(credential, attempt, authentication);
      return authentication.then(
        (found) => succeeded(credential, attempt, found),
        (error: unknown) => refusedSignIn(credential, attempt, error),
      );
    } catch (error) {
      return refused(credential, attempt, error);
    }
  };
}

function describe({ kind }: Credential, { peerAddress, requestId, traceparent }: Attempt) {
  return { operation: "authenticate", peerAddress, requestId, traceparent, details: { credential: kind } };
}
