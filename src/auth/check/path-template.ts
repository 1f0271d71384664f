/** One segment of a path template. */
export type TemplateSegment =
  | { readonly kind: "literal"; readonly text: string }
  /** Any one segment that is not empty. */
  | { readonly kind: "variable"; readonly name: string | undefined }
  /** One or more segments, up to the end. */
  | { readonly kind: "rest"; readonly name: string | undefined };

/** A path template that is not well-formed. */
export class PathTemplateError extends Error {
  override readonly name = "PathTemplateError";
}

const variable = /^\{([A-Za-z_]\w{0,63})(?:=(\*{1,2}))?\}$/;

/**
 * Parses a path template: `/docs/{id}`, `/docs/*`, `/files/{path=**}`, `/files/**`. Literal segments are plain text, not
 * percent-encoded: they are compared with what the request's decode to.
 *
 * @throws PathTemplateError
 */
export function parsePathTemplate(template: string): readonly TemplateSegment[] {
  if (!template.startsWith("/")) throw new PathTemplateError("must start with /");
  if (template === "/") return [];
  const texts = template.slice(1).split("/");
  const names = new Set<string>();
  return texts.map((text, index) => {
    const segment = parseSegment(text, index === texts.length - 1);
    if (segment.kind !== "literal" && segment.name !== undefined) {
      if (names.has(segment.name)) throw new PathTemplateError(`has {${segment.name}} twice`);
      names.add(segment.name);
    }
    return segment;
  });
}

function parseSegment(text: string, isLast: boolean): TemplateSegment {
  const match = variable.exec(text);
  const stars = match === null ? text : (match[2] ?? "*");
  if (match !== null || text === "*" || text === "**") {
    if (stars === "*") return { kind: "variable", name: match?.[1] };
    if (!isLast) throw new PathTemplateError("has ** before its end");
    return { kind: "rest", name: match?.[1] };
  }
  if (text === "" && !isLast) throw new PathTemplateError("has an empty segment");
  if (text === "." || text === "..") throw new PathTemplateError(`has the segment ${text}, which no request may have`);
  if (/[{}*]/.test(text)) throw new PathTemplateError(`has "${text}": a variable or star must be a whole segment`);
  if (/[%?#\\]/.test(text)) throw new PathTemplateError(`has "${text}": write segments decoded, and without a query`);
  return { kind: "literal", text };
}
