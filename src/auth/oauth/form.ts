import type { IncomingMessage } from "node:http";
import { OAuthError } from "./oauth-error.ts";

/** Parameters of a request to an OAuth endpoint. */
export interface Form {
  /** The value; undefined when it is missing or empty (RFC 6749 section 3.1). */
  get(name: string): string | undefined;
  /** @throws OAuthError invalid_request when it is missing. */
  require(name: string): string;
  /** All values of a parameter that may be repeated. */
  all(name: "audience" | "resource"): readonly string[];
}

/** Most bytes of a body; the largest tokens take half of it. */
const maxBytes = 40_000;
/** Time for a body to arrive, in milliseconds. */
const bodyTimeoutMs = 5_000;
const contentType = /^application\/x-www-form-urlencoded\s*(;|$)/i;
/** The parameters that RFC 8693 section 2.1 lets be repeated. */
const repeatable: ReadonlySet<string> = new Set(["audience", "resource"]);

/**
 * Reads the form of a request.
 *
 * @throws OAuthError invalid_request when it is of another content type, too large, too slow, or repeats a parameter.
 */
export async function readForm(request: IncomingMessage): Promise<Form> {
  if (!contentType.test(request.headers["content-type"] ?? "")) {
    throw new OAuthError("invalid_request", "The content type must be application/x-www-form-urlencoded.", {
      status: 415,
    });
  }
  const values = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(await readBody(request))) {
    if (value === "") continue;
    const known = values.get(name);
    if (known === undefined) values.set(name, [value]);
    else if (repeatable.has(name)) known.push(value);
    else throw new OAuthError("invalid_request", "A parameter is repeated.");
  }
  const get = (name: string): string | undefined => values.get(name)?.[0];
  return {
    get,
    require(name) {
      const value = get(name);
      if (value === undefined) throw new OAuthError("invalid_request", `${name} is missing.`);
      return value;
    },
    all: (name) => values.get(name) ?? [],
  };
}

/** What is left unread of a body that was refused is dealt with by the edge, which closes after such an answer. */
function readBody(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const timer = setTimeout(
      () => settle(new OAuthError("invalid_request", "The body is too slow.", { status: 408 })),
      bodyTimeoutMs,
    );
    const settle = (error?: Error): void => {
      clearTimeout(timer);
      request.off("data", onData).off("end", onEnd).off("close", onClose);
      request.pause();
      if (error === undefined) resolve(Buffer.concat(chunks).toString("utf8"));
      else reject(error);
    };
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > maxBytes) settle(new OAuthError("invalid_request", "The body is too large.", { status: 413 }));
      else chunks.push(chunk);
    };
    const onEnd = (): void => settle();
    const onClose = (): void => settle(new OAuthError("invalid_request", "The body ends early."));
    request.on("data", onData).on("end", onEnd).on("close", onClose).on("error", settle);
  });
}
