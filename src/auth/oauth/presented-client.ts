import type { PresentedClient } from "../domain/oauth/client-authenticator.ts";
import type { Form } from "./form.ts";
import { invalidClient, OAuthError } from "./oauth-error.ts";

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const basic = /^basic +([A-Za-z0-9+/]+={0,2})$/i;

/**
 * How the client of a request says who it is: by the header, or by the body, never by both (RFC 6749 section 2.3).
 *
 * @throws OAuthError invalid_client when it does not, or by an unknown scheme; invalid_request when in more than one way.
 */
export function presentedClient(authorization: string | undefined, form: Form): PresentedClient {
  const id = form.get("client_id");
  const secret = form.get("client_secret");
  const assertion = form.get("client_assertion");
  if ([authorization, secret, assertion].filter((way) => way !== undefined).length > 1) {
    throw new OAuthError("invalid_request", "The client authenticates in more than one way.");
  }
  if (authorization !== undefined) {
    const presented = fromBasic(authorization);
    if (id !== undefined && id !== presented.id) throw invalidClient();
    return presented;
  }
  if (assertion !== undefined) {
    if (form.get("client_assertion_type") !== assertionType) throw invalidClient();
    return { kind: "assertion", assertion, ...(id === undefined ? {} : { id }) };
  }
  if (id === undefined) throw invalidClient();
  return secret === undefined ? { kind: "public", id } : { kind: "secret", id, secret };
}

/** Both parts are form-encoded before they are put together. */
function fromBasic(authorization: string): Extract<PresentedClient, { kind: "secret" }> {
  const [, encoded = ""] = basic.exec(authorization) ?? [];
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const separator = text.indexOf(":");
  if (separator < 1) throw invalidClient();
  return { kind: "secret", id: formDecode(text.slice(0, separator)), secret: formDecode(text.slice(separator + 1)) };
}

function formDecode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw invalidClient();
  }
}
