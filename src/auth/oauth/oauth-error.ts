import { ServiceError } from "../../shared/service-error.ts";

/** Error codes of RFC 6749 section 5.2, RFC 7009 section 2.2.1, RFC 8693 section 2.2.2, and `temporarily_unavailable`. */
export type OAuthErrorCode =
  | "invalid_request"
  | "invalid_client"
  | "invalid_grant"
  | "invalid_scope"
  | "invalid_target"
  | "unauthorized_client"
  | "unsupported_grant_type"
  | "unsupported_token_type"
  | "temporarily_unavailable"
  | "server_error";

export interface OAuthErrorOptions {
  /** HTTP status. Default: 400. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** A refusal of an OAuth endpoint. The description is for people; it never repeats what the client sent. */
export class OAuthError extends Error {
  override readonly name = "OAuthError";
  readonly code: OAuthErrorCode;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: OAuthErrorCode, description: string, options: OAuthErrorOptions = {}) {
    super(description, { cause: options.cause });
    this.code = code;
    this.status = options.status ?? 400;
    this.headers = options.headers ?? {};
  }
}

/** 401, with the challenge that RFC 6749 section 5.2 asks for. */
export function invalidClient(): OAuthError {
  return new OAuthError("invalid_client", "The client is unknown, or is not the one it says it is.", {
    status: 401,
    headers: { "www-authenticate": 'Basic realm="gatehouse", charset="UTF-8"' },
  });
}

/** What an error of the domain is called here; `refused` is the code of a credential that is not valid. */
export function toOAuthError(error: unknown, refused: OAuthErrorCode = "invalid_grant"): OAuthError {
  if (error instanceof OAuthError) return error;
  if (!(error instanceof ServiceError)) return serverError(error);
  switch (error.code) {
    case "UNAUTHENTICATED":
      return new OAuthError(refused, "The token is not valid.", { cause: error });
    case "INVALID_ARGUMENT":
      return error.reason === "SCOPE_NOT_ALLOWED"
        ? new OAuthError("invalid_scope", "A scope is malformed or not allowed.", { cause: error })
        : new OAuthError("invalid_request", "The request is not valid.", { cause: error });
    case "UNIMPLEMENTED":
      return new OAuthError("invalid_request", "Tokens of this type are not accepted.", { cause: error });
    case "UNAVAILABLE":
    case "RESOURCE_EXHAUSTED":
    case "DEADLINE_EXCEEDED": {
      const seconds = Math.max(1, Math.ceil((error.retryAfterMs ?? 1_000) / 1_000));
      const headers = { "retry-after": String(seconds) };
      return new OAuthError("temporarily_unavailable", "Try again later.", { status: 503, headers, cause: error });
    }
    default:
      return serverError(error);
  }
}

function serverError(cause: unknown): OAuthError {
  return new OAuthError("server_error", "An internal error occurred.", { status: 500, cause });
}
