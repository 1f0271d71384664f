import { create, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { type Entity, EntitySchema } from "../../../../gen/gatehouse/policy/v1/entity_pb.ts";
import { type FieldViolation, invalidArgument, ServiceError } from "../../service-error.ts";
import type { DecisionRequest, EntityName } from "./decision.ts";

/** Limits of the contract (entity.proto, policy_service.proto), in bytes of UTF-8 and in levels. */
const maxTypeBytes = 256;
const maxIdBytes = 1_024;
const maxEntities = 1_000;
const maxParents = 1_000;
const maxDepth = 32;

/** A request as it was when it was asked: checked, copied, and measured. */
export interface Question {
  readonly principal: EntityName;
  readonly action: EntityName;
  readonly resource: EntityName;
  readonly context: JsonObject | undefined;
  readonly entities: Entity[];
  /** Size in a frame, in bytes: an upper bound. */
  readonly bytes: number;
}

/**
 * Takes a request as it is now, so that what its caller does to it later changes nothing.
 *
 * What would make a frame unreadable is refused here, where it harms nobody else; what only the policies can judge is
 * left to the server.
 *
 * @throws ServiceError INVALID_ARGUMENT naming the field; RESOURCE_EXHAUSTED when it is larger than `maxBytes`.
 */
export function takeQuestion(request: DecisionRequest, maxBytes: number): Question {
  const copier = new Copier(maxBytes);
  const principal = copier.uid(request.principal, "principal");
  const action = copier.uid(request.action, "action");
  const resource = copier.uid(request.resource, "resource");
  const context = request.context === undefined ? undefined : copier.object(request.context, "context");
  const entities = request.entities === undefined ? [] : copier.entities(request.entities);
  if (copier.violations.length > 0) throw invalidArgument(copier.violations);
  return { principal, action, resource, context, entities, bytes: copier.bytes };
}

/** UTF-8 takes at most three bytes for each UTF-16 unit. */
const maxBytesPerUnit = 3;
/** Tags and lengths of a field with the messages around it take less than this. */
const overheadBytes = 16;
/** Texts up to this long are not worth measuring. */
const shortText = 64;

function textBytes(text: string): number {
  return text.length <= shortText ? text.length * maxBytesPerUnit : Buffer.byteLength(text);
}

const noUid: EntityName = { type: "", id: "" };

class Copier {
  readonly violations: FieldViolation[] = [];
  bytes = 0;
  readonly #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  uid(uid: EntityName | undefined, field: string): EntityName {
    const { type, id } = uid ?? { type: "", id: "" };
    if (!this.#isName(type, maxTypeBytes, field, "type") || !this.#isName(id, maxIdBytes, field, "id")) return noUid;
    this.#count(textBytes(type) + textBytes(id) + overheadBytes);
    return { type, id };
  }

  entities(entities: NonNullable<DecisionRequest["entities"]>): Entity[] {
    if (entities.length > maxEntities) {
      this.#fault("entities", `must have at most ${maxEntities} items`);
      return [];
    }
    return entities.map((entity, index) => {
      const path = `entities[${index}]`;
      const { uid, parents = [], attrs, tags } = entity;
      if (parents.length > maxParents) this.#fault(`${path}.parents`, `must have at most ${maxParents} items`);
      return create(EntitySchema, {
        uid: this.uid(uid as EntityName | undefined, `${path}.uid`),
        parents: parents.map((parent, n) => this.uid(parent as EntityName, `${path}.parents[${n}]`)),
        ...(attrs === undefined ? {} : { attrs: this.object(attrs, `${path}.attrs`) }),
        ...(tags === undefined ? {} : { tags: this.object(tags, `${path}.tags`) }),
      });
    });
  }

  object(value: JsonObject, path: string): JsonObject {
    return this.#object(value, path, 0);
  }

  #object(value: Readonly<Record<string, unknown>>, path: string, depth: number): JsonObject {
    const copy: JsonObject = {};
    for (const key of Object.keys(value)) {
      if (!key.isWellFormed()) this.#fault(path, "has a name that is not well-formed Unicode");
      // Plain objects lose it on their way, and a policy would not see it.
      if (key === "__proto__") this.#fault(path, "must not have the name __proto__");
      this.#count(textBytes(key) + overheadBytes);
      copy[key] = this.#value(value[key], path, key, depth);
    }
    return copy;
  }

  #value(value: unknown, parent: string, key: string | number, depth: number): JsonValue {
    this.#count(overheadBytes);
    switch (typeof value) {
      case "string":
        if (!value.isWellFormed()) this.#fault(child(parent, key), "must be well-formed Unicode");
        this.#count(textBytes(value));
        return value;
      case "boolean":
        return value;
      case "number":
        if (!Number.isSafeInteger(value)) {
          this.#fault(child(parent, key), "must be an integer within ±(2^53−1)");
          return 0;
        }
        return value;
      case "object": {
        if (value === null) return null;
        const path = child(parent, key);
        if (depth >= maxDepth) {
          this.#fault(path, `is nested more than ${maxDepth} levels deep`);
          return null;
        }
        if (!Array.isArray(value)) return this.#object(value as Record<string, unknown>, path, depth + 1);
        return Array.from(value, (element, index) => this.#value(element, path, index, depth + 1));
      }
      default:
        this.#fault(child(parent, key), "is not JSON");
        return null;
    }
  }

  /** Stops at once when it is too much: a value that contains itself has no end. */
  #count(bytes: number): void {
    this.bytes += bytes;
    if (this.bytes > this.#maxBytes) {
      throw new ServiceError("RESOURCE_EXHAUSTED", `The request is larger than ${this.#maxBytes} bytes.`, {
        reason: "MESSAGE_TOO_LARGE",
      });
    }
  }

  #isName(text: unknown, maxBytes: number, field: string, part: string): boolean {
    if (typeof text !== "string" || text.length === 0) return this.#fault(`${field}.${part}`, "must not be empty");
    if (text.length * maxBytesPerUnit > maxBytes && Buffer.byteLength(text) > maxBytes) {
      return this.#fault(`${field}.${part}`, `must be at most ${maxBytes} bytes of UTF-8`);
    }
    return text.isWellFormed() || this.#fault(`${field}.${part}`, "must be well-formed Unicode");
  }

  #fault(field: string, description: string): false {
    // One is enough to refuse; a few help; all of a large request would not.
    if (this.violations.length < 10) this.violations.push({ field, description });
    return false;
  }
}

function child(parent: string, key: string | number): string {
  return typeof key === "number" ? `${parent}[${key}]` : `${parent}.${key}`;
}
