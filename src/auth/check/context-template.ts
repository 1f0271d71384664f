import { isIP } from "node:net";
import type { Json } from "../domain/principal.ts";
import { renderText, type ValueLookup, type ValueTemplate } from "./value-template.ts";

/** What a context attribute is made into. `any` is a claim's own value, or text. */
export type ContextType = "any" | "string" | "long" | "boolean" | "ip" | "decimal" | "set";

/** One attribute of the context. */
export type ContextTemplate =
  | { readonly value: Json }
  | { readonly from: ValueTemplate; readonly as: ContextType; readonly required: boolean };

/** The value of an attribute; `missing` when there is none, `malformed` when it is not what it must be. */
export type ContextValue = { readonly value: Json } | "missing" | "malformed";

const maxTextBytes = 8_192;

/** Makes one attribute for a request. Values beyond 8 KiB are malformed. */
export function renderContext(template: ContextTemplate, lookup: ValueLookup): ContextValue {
  if ("value" in template) return template;
  const { from, as } = template;
  const [only] = from.parts;
  if (from.parts.length === 1 && typeof only === "object" && only.kind === "claim" && (as === "any" || as === "set")) {
    const value = lookup(only);
    if (value === undefined || value === null) return "missing";
    return as === "set" && !Array.isArray(value) ? { value: [value] } : { value };
  }
  const text = renderText(from, lookup);
  if (text === undefined) return "missing";
  if (Buffer.byteLength(text) > maxTextBytes) return "malformed";
  return convert(text, as);
}

function convert(text: string, as: ContextType): ContextValue {
  switch (as) {
    case "any":
    case "string":
      return { value: text };
    case "set":
      return { value: text.split(",").map((item) => item.trim()) };
    case "long": {
      const number = Number(text);
      return /^-?\d{1,16}$/.test(text) && Number.isSafeInteger(number) ? { value: number } : "malformed";
    }
    case "boolean":
      return text === "true" || text === "false" ? { value: text === "true" } : "malformed";
    case "ip": {
      const [address = "", prefix = "0", ...more] = text.split("/");
      const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
      const isAddress = more.length === 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= bits;
      return isAddress ? extension("ip", text) : "malformed";
    }
    case "decimal":
      return /^-?\d{1,15}\.\d{1,4}$/.test(text) ? extension("decimal", text) : "malformed";
  }
}

/** A value of an extension type in Cedar's JSON form. */
function extension(fn: string, arg: string): ContextValue {
  return { value: { __extn: { fn, arg } } };
}
