import type { EntityName } from "../domain/authorizer.ts";
import {
  parseValueTemplate,
  renderText,
  type ValueLookup,
  type ValueTemplate,
  ValueTemplateError,
} from "./value-template.ts";

/** An entity whose id is made of a request's values: `Document::"{id}"`. Its type is fixed. */
export interface EntityTemplate {
  readonly type: string;
  readonly id: ValueTemplate;
}

const uid = /^([A-Za-z_]\w*(?:::[A-Za-z_]\w*)*)::("(?:[^"\\]|\\.)*")$/s;
/** As policy-service has it. */
const maxIdBytes = 1_024;

/** @throws ValueTemplateError */
export function parseEntityTemplate(text: string): EntityTemplate {
  const match = uid.exec(text);
  if (match === null) throw new ValueTemplateError('must be an entity such as Document::"{id}"');
  let id: string;
  try {
    id = JSON.parse(match[2] ?? "");
  } catch {
    throw new ValueTemplateError("has an escape that is none of JSON's");
  }
  if (id === "") throw new ValueTemplateError("has an empty id");
  return { type: match[1] ?? "", id: parseValueTemplate(id) };
}

/** The entity for a request; undefined when a value is missing, or the id is longer than 1,024 bytes or no well-formed text. */
export function renderEntity({ type, id: template }: EntityTemplate, lookup: ValueLookup): EntityName | undefined {
  const id = renderText(template, lookup);
  if (id === undefined || !id.isWellFormed() || Buffer.byteLength(id) > maxIdBytes) return undefined;
  return { type, id };
}
