import { type Document, isNode, LineCounter, parseDocument } from "yaml";

/** Where in a document: keys and positions from the top. */
export type YamlPath = readonly (string | number)[];

/** A configuration file in YAML or JSON, which collects what is wrong with it. */
export interface YamlFile {
  /** Its content as plain data. */
  readonly value: unknown;
  /** Adds a fault of the value at a path. */
  fault(path: YamlPath, message: string): void;
  /** All faults, each with its line, by line. */
  readonly problems: readonly string[];
}

const maxBytes = 1_048_576;

/** Reads a file of 1 MiB at most; what is wrong with its form is among its problems. */
export function readYamlFile(text: string): YamlFile {
  if (Buffer.byteLength(text) > maxBytes) {
    return { value: undefined, fault: () => undefined, problems: ["is larger than 1 MiB"] };
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const faults: { readonly line: number; readonly text: string }[] = document.errors.map(({ pos, message }) => ({
    line: lines.linePos(pos[0]).line,
    text: message,
  }));
  return {
    value: faults.length === 0 ? toPlain(document) : undefined,
    fault(path, message) {
      faults.push({ line: lineOf(document, lines, path), text: `${dotted(path)} ${message}` });
    },
    get problems() {
      return faults.toSorted((a, b) => a.line - b.line).map(({ line, text }) => `line ${line}: ${text}`);
    },
  };
}

function toPlain(document: Document): unknown {
  // Aliases that multiply are refused by the parser's own limit, which throws.
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return error;
  }
}

function dotted(path: YamlPath): string {
  const text = path.map((key) => (typeof key === "number" ? `[${key}]` : `.${key}`)).join("");
  return text.replace(/^\./, "") || "the file";
}

/** Line of the value at a path, or of what is nearest above it. */
function lineOf(document: Document, lines: LineCounter, path: YamlPath): number {
  for (let length = path.length; length >= 0; length -= 1) {
    const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range != null) return lines.linePos(node.range[0]).line;
  }
  return 1;
}
