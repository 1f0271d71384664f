import type { Attributes, Principal } from "../principal.ts";

/** What an issuer other than this service says of a principal. Nobody else keeps it. */
export interface ExternalIdentity {
  /** `iss`. */
  readonly issuer: string;
  /** Undefined when the issuer is not asked for roles. */
  readonly roles?: readonly string[];
  /** Undefined when the issuer is not asked for attributes. */
  readonly attributes?: Attributes;
}

/** A principal as its issuer describes it. */
export function externalPrincipal(type: Principal["type"], id: string, identity: ExternalIdentity): Principal {
  return { type, id, roles: identity.roles ?? [], attributes: identity.attributes ?? {} };
}
