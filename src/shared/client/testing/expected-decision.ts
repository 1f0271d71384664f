import { createHash } from "node:crypto";
import type { JsonValue } from "@bufbuild/protobuf";

interface Name {
  readonly type: string;
  readonly id: string;
}

/** What the reference server is asked, in one canonical form. */
export interface Asked {
  readonly principal: Name;
  readonly action: Name;
  readonly resource: Name;
  readonly context?: JsonValue | undefined;
  /** Ids of the request's own entities. */
  readonly entityIds?: readonly string[];
}

export interface Expected {
  readonly allow: boolean;
  /** Names the whole question, so that an answer to any other is told apart. */
  readonly policies: readonly string[];
  /** Message of a failed policy, on some. */
  readonly error: string | undefined;
  readonly indeterminate: boolean;
}

/** The reference server's decision: a pure function of all that was asked. */
export function expectedDecision({ principal, action, resource, context, entityIds = [] }: Asked): Expected {
  const parts = [principal.type, principal.id, action.type, action.id, resource.type, resource.id];
  const text = JSON.stringify([...parts, context ?? {}, entityIds]);
  const hash = createHash("sha1").update(text).digest();
  const allow = hash.readUInt8(0) % 2 === 0;
  const isDefault = !allow && hash.readUInt8(1) % 4 === 0;
  const name = hash.toString("hex", 0, 8);
  return {
    allow,
    policies: isDefault ? [] : [`policy-${name}`],
    error: hash.readUInt8(2) % 8 === 0 ? `error-${name}` : undefined,
    indeterminate: isDefault && hash.readUInt8(3) % 2 === 0,
  };
}
