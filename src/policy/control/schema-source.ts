import type { DetailedError, SchemaJson } from "@cedar-policy/cedar-wasm/nodejs";
import { ExactJsonError, parseExactJson } from "../domain/exact-json.ts";
import { type CedarSchema, compileSchema } from "../domain/schema.ts";
import { type Diagnostic, diagnosticAt, fromDetailedError, PolicySourceError, SourceText } from "./diagnostics.ts";
import { tokenize } from "./lexer.ts";
import { type ControlLimits, findIllFormed, findTooDeep, SCHEMA_BRACKETS } from "./limits.ts";
import type { SourceFile } from "./sources.ts";
import type { WasmClient } from "./wasm-client.ts";

/** A schema that the official implementation accepts. */
export type ParsedSchema = {
  /** As the official implementation takes it: schema text, or its JSON form. */
  readonly source: string | SchemaJson<string>;
  /** Its JSON form. */
  readonly json: SchemaJson<string>;
  /** Compiled for checking entities and requests. */
  readonly schema: CedarSchema;
  readonly warnings: readonly Diagnostic[];
};

/** Parses a schema in either syntax: JSON where the first character is `{`. */
export async function parseSchemaSource(
  wasm: WasmClient,
  limits: ControlLimits,
  { name, text }: SourceFile,
): Promise<ParsedSchema> {
  const source = new SourceText(name, text);
  const whole = { source, start: 0, end: text.length };
  precheck(source, limits);
  const isJson = /^\s*\{/.test(text);
  const schema = isJson ? parseJson(source) : text;
  const [answer] = await (typeof schema === "string"
    ? wasm.call("schemaToJsonWithResolvedTypes", [[schema]])
    : wasm.call("schemaToJson", [[schema]]));
  const place = isJson ? undefined : whole;
  const refuse = (errors: readonly DetailedError[]): never => {
    throw new PolicySourceError(
      errors.flatMap((error) => fromDetailedError(error, "error", place, undefined)).map((d) => ({ file: name, ...d })),
    );
  };
  if (answer!.type === "failure") return refuse(answer!.errors);
  // Reading a schema in JSON resolves none of its names; checking it does.
  const [check] = await wasm.call("checkParseSchema", [[schema]]);
  if (check!.type === "failure") return refuse(check!.errors);
  const warnings = answer!.warnings.flatMap((warning) => fromDetailedError(warning, "warning", place, undefined));
  return { source: schema, json: answer!.json, schema: compileSchema(answer!.json), warnings };
}

function precheck(source: SourceText, limits: ControlLimits): void {
  const { text } = source;
  const bytes = Buffer.byteLength(text);
  const breach =
    bytes > limits.schemaBytes
      ? { message: `the schema is ${bytes} bytes long; at most ${limits.schemaBytes} are read`, start: 0, end: 0 }
      : (findIllFormed(text) ?? findTooDeep(tokenize(text), limits.nesting, SCHEMA_BRACKETS));
  if (breach)
    throw new PolicySourceError([diagnosticAt({ source, ...breach }, { severity: "error", message: breach.message })]);
}

function parseJson(source: SourceText): SchemaJson<string> {
  try {
    return parseExactJson(source.text) as unknown as SchemaJson<string>;
  } catch (error) {
    if (!(error instanceof ExactJsonError)) throw error;
    const place = { source, start: error.offset, end: error.offset + 1 };
    throw new PolicySourceError([diagnosticAt(place, { severity: "error", message: error.message })]);
  }
}
