import type { JWTPayload } from "jose";
import type { Attributes, Json, Principal } from "../principal.ts";
import { attributesFault } from "../user-rules.ts";
import type { ExternalIdentity } from "./external-identity.ts";

/** A claim: its name, or the names on the way to one that is inside of others. */
export type ClaimPath = readonly string[];

/** How the claims of an issuer's tokens make a principal. */
export interface ClaimMapping {
  readonly type: Principal["type"];
  /** Put before the claim that identifies the principal, so that no two issuers have the same principals. */
  readonly idPrefix: string;
  readonly id: ClaimPath;
  /** Undefined: the issuer is not asked for roles. */
  readonly roles?: {
    readonly claim: ClaimPath;
    readonly prefix: string;
    /** Roles by the values of the claim. Those that are not in it are roles of their own name, after the prefix. */
    readonly names: ReadonlyMap<string, string>;
  };
  /** Claims by the names of attributes. Undefined: the issuer is not asked for attributes. */
  readonly attributes?: ReadonlyMap<string, ClaimPath>;
  /** Claim with the methods of authentication (RFC 8176). Undefined: they are not believed. */
  readonly amr?: ClaimPath;
}

/** Whom a token speaks for. */
export interface ExternalSubject {
  readonly type: Principal["type"];
  readonly id: string;
  readonly identity: ExternalIdentity;
  readonly amr: readonly string[];
}

/** Makes a subject of verified claims; undefined when they do not make one. */
export type SubjectMapper = (claims: JWTPayload) => ExternalSubject | undefined;

/** Longest id of a principal, in bytes. */
const maxIdBytes = 512;
const maxRoles = 64;
const maxRoleBytes = 128;
/** Of all roles, and of all attributes: an access token that they are exchanged for has to hold both. */
const maxBytes = 4_096;
/** Roles that Gatehouse itself goes by. No issuer gives them by their name, only by an entry in `names`. */
const reservedRole = /^gatehouse-/i;
const unfit = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;

/**
 * Maps claims as configured. A claim that identifies the principal must be a text without control characters. Of roles, those
 * that are no text are passed over; too many, and attributes that are too large, refuse the token: a part of them would be
 * another principal.
 */
export function createClaimMapper(issuer: string, mapping: ClaimMapping): SubjectMapper {
  return (claims) => {
    const id = claimAt(claims, mapping.id);
    if (typeof id !== "string" || id === "" || unfit.test(id)) return undefined;
    const roles = mapping.roles === undefined ? undefined : rolesOf(claims, mapping.roles);
    const attributes = mapping.attributes === undefined ? undefined : attributesOf(claims, mapping.attributes);
    if (roles === "unfit" || attributes === "unfit") return undefined;
    return externalSubject(mapping.type, mapping.idPrefix + id, amrOf(claims, mapping.amr), {
      issuer,
      ...(roles === undefined ? {} : { roles }),
      ...(attributes === undefined ? {} : { attributes }),
    });
  };
}

/** A subject, unless its id is too long. */
export function externalSubject(
  type: Principal["type"],
  id: string,
  amr: readonly string[],
  identity: ExternalIdentity,
): ExternalSubject | undefined {
  return Buffer.byteLength(id) > maxIdBytes ? undefined : { type, id, amr, identity };
}

/** The value of a claim; undefined when there is none. */
export function claimAt(claims: JWTPayload, path: ClaimPath): Json | undefined {
  let value: unknown = claims;
  for (const key of path) {
    if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, key)) {
      return undefined;
    }
    value = (value as Record<string, unknown>)[key];
  }
  return value as Json | undefined;
}

function rolesOf(
  claims: JWTPayload,
  { claim, prefix, names }: NonNullable<ClaimMapping["roles"]>,
): readonly string[] | "unfit" {
  const roles = new Set<string>();
  for (const value of textsOf(claimAt(claims, claim))) {
    const named = names.get(value);
    const role = named ?? prefix + value;
    if (named === undefined && (reservedRole.test(role) || unfit.test(role))) continue;
    if (Buffer.byteLength(role) > maxRoleBytes) continue;
    roles.add(role);
  }
  return roles.size > maxRoles || Buffer.byteLength([...roles].join()) > maxBytes ? "unfit" : [...roles];
}

/** A claim without a value, and one that Cedar could not hold, is no attribute. */
function attributesOf(claims: JWTPayload, mapping: ReadonlyMap<string, ClaimPath>): Attributes | "unfit" {
  const attributes: Record<string, Json> = {};
  for (const [name, path] of mapping) {
    const value = claimAt(claims, path);
    if (value !== undefined && attributesFault({ [name]: value }) === undefined) attributes[name] = value;
  }
  return Buffer.byteLength(JSON.stringify(attributes)) > maxBytes ? "unfit" : attributes;
}

function amrOf(claims: JWTPayload, path: ClaimPath | undefined): readonly string[] {
  const methods = path === undefined ? [] : textsOf(claimAt(claims, path));
  return methods.filter((method) => /^[\w-]{1,32}$/.test(method)).slice(0, 16);
}

/** The texts of a list, or of one that is separated by spaces, as `scope` is. */
function textsOf(value: Json | undefined): readonly string[] {
  if (typeof value === "string") return value.split(" ").filter((text) => text !== "");
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string" && item !== "") : [];
}
