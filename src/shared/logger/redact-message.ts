import { type DescMessage, type JsonObject, type JsonValue, type MessageShape, toJson } from "@bufbuild/protobuf";

const censor = "[redacted]";

/**
 * A message in JSON form for the log, in which every field marked `debug_redact` in the contract reads `[redacted]`,
 * whatever it holds.
 */
export function redactMessage<D extends DescMessage>(schema: D, message: MessageShape<D>): JsonValue {
  const json = toJson(schema, message) as JsonValue;
  redact(schema, json);
  return json;
}

function redact(schema: DescMessage, json: JsonValue | undefined): void {
  // Well-known types have JSON forms of their own and no secret fields.
  if (typeof json !== "object" || json === null || Array.isArray(json) || schema.typeName.startsWith("google.")) return;
  for (const field of schema.fields) {
    const value = json[field.jsonName];
    if (value === undefined) continue;
    if (field.proto.options?.debugRedact === true) json[field.jsonName] = censor;
    else if (field.message !== undefined) {
      for (const item of itemsOf(field.fieldKind, value)) redact(field.message, item);
    }
  }
}

function itemsOf(kind: string, value: JsonValue): JsonValue[] {
  if (kind === "list") return value as JsonValue[];
  if (kind === "map") return Object.values(value as JsonObject);
  return [value];
}
