import type { DetailedError } from "@cedar-policy/cedar-wasm/nodejs";

/** How grave a finding is: an error refuses the set, a warning does not. */
export type Severity = "error" | "warning";

/** A finding about a policy, schema, entity or link, with its place where it has one. Lines and columns count from 1. */
export type Diagnostic = {
  readonly severity: Severity;
  readonly message: string;
  readonly help?: string;
  readonly policyId?: string;
  readonly file?: string;
  readonly line?: number;
  /** In code points, as editors count. */
  readonly column?: number;
  /** The source line and carets below what is meant. */
  readonly excerpt?: string;
};

/** A text and where its lines start. */
export class SourceText {
  readonly name: string;
  readonly text: string;
  #lineStarts: number[] | undefined;

  constructor(name: string, text: string) {
    this.name = name;
    this.text = text;
  }

  /** The line that holds an offset (UTF-16 code units): its number, from 1, and where it starts and ends. */
  lineAt(offset: number): { number: number; start: number; end: number } {
    this.#lineStarts ??= [0, ...[...this.text.matchAll(/\n/g)].map(({ index }) => index + 1)];
    const starts = this.#lineStarts;
    let low = 0;
    for (let high = starts.length - 1; low < high; ) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { number: low + 1, start: starts[low]!, end: (starts[low + 1] ?? this.text.length + 1) - 1 };
  }
}

/** A range of a source text, in UTF-16 code units. */
export type Place = { readonly source: SourceText; readonly start: number; readonly end: number };

/** Everything that refuses a set of sources, at once. */
export class PolicySourceError extends Error {
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[]) {
    super(renderDiagnostics(diagnostics));
    this.name = "PolicySourceError";
    this.diagnostics = sortDiagnostics(diagnostics);
  }
}

/** Builds a diagnostic at a place, underlining its first line. */
export function diagnosticAt(
  place: Place | undefined,
  fields: Omit<Diagnostic, "file" | "line" | "column" | "excerpt">,
): Diagnostic {
  if (place === undefined) return fields;
  const { name, text } = place.source;
  const start = Math.min(place.start, text.length);
  const line = place.source.lineAt(start);
  const before = text.slice(line.start, start);
  const marked = text.slice(start, Math.min(place.end, line.end));
  const excerpt = underline(line.number, text.slice(line.start, line.end).trimEnd(), before, marked);
  return { ...fields, file: name, line: line.number, column: width(before) + 1, excerpt };
}

/** How much of a long line is shown around what is meant, in code points. */
const SHOWN = 160;

function underline(line: number, lineText: string, before: string, marked: string): string {
  const gutter = String(line);
  // Tabs stay tabs in the caret line, so that the carets stand below their text at every tab width.
  const indent = [...before].map((char) => (char === "\t" ? "\t" : " "));
  const cut = Math.max(0, indent.length - SHOWN / 2);
  const shown = [...lineText].slice(cut, cut + SHOWN).join("");
  const carets = "^".repeat(Math.max(1, Math.min(width(marked), SHOWN - (indent.length - cut))));
  return `${gutter} | ${shown}\n${" ".repeat(gutter.length)} | ${indent.slice(cut).join("")}${carets}`;
}

function width(text: string): number {
  return [...text].length;
}

/**
 * Turns one error of the official implementation, with those it relates, into diagnostics.
 *
 * @param base where in its file the text that was given starts; its locations are UTF-8 bytes into that text
 */
export function fromDetailedError(
  error: DetailedError,
  severity: Severity,
  base: Place | undefined,
  policyId: string | undefined,
): Diagnostic[] {
  const given = base?.source.text.slice(base.start, base.end) ?? "";
  const locations = base && error.sourceLocations?.length ? error.sourceLocations : [undefined];
  const [location] = locations;
  const place = base && location ? within(base, given, location) : base && { ...base, end: base.start };
  const label = location?.label ?? undefined;
  const own = diagnosticAt(place, {
    severity,
    message: tidy(error.message, label),
    ...(error.help ? { help: error.help } : {}),
    ...(policyId === undefined ? {} : { policyId }),
  });
  return [own, ...(error.related ?? []).flatMap((related) => fromDetailedError(related, severity, base, policyId))];
}

function within(base: Place, given: string, range: { start: number; end: number }): Place {
  const bytes = Buffer.from(given);
  const start = base.start + bytes.subarray(0, range.start).toString().length;
  return { ...base, start, end: start + bytes.subarray(range.start, range.end).toString().length };
}

/** Drops what the place already says: which policy, and that it was being parsed. */
function tidy(message: string, label: string | undefined): string {
  const bare = message
    .replace(/^for policy `[^`]*`, /, "")
    .replace(
      /^(failed to parse [a-z ]*?(with id `[^`]*` )?from string|error parsing schema|cannot parse input policies): /,
      "",
    );
  return label ? `${bare}: ${label}` : bare;
}

/** Sorts by file, line and column; what has no place comes last, by policy id. */
export function sortDiagnostics(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return [...diagnostics].sort(
    (a, b) =>
      compare(a.file ?? "\uffff", b.file ?? "\uffff") ||
      (a.line ?? 0) - (b.line ?? 0) ||
      (a.column ?? 0) - (b.column ?? 0) ||
      compare(a.policyId ?? "", b.policyId ?? "") ||
      compare(a.message, b.message),
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Writes diagnostics for people, sorted, one block each. */
export function renderDiagnostics(diagnostics: readonly Diagnostic[]): string {
  return sortDiagnostics(diagnostics).map(renderDiagnostic).join("\n");
}

function renderDiagnostic(diagnostic: Diagnostic): string {
  const { severity, message, help, policyId, file, line, column, excerpt } = diagnostic;
  const place = [file, line, column].filter((part) => part !== undefined).join(":");
  const policy = policyId === undefined ? "" : ` [${policyId}]`;
  const head = `${place && `${place}: `}${severity}${policy}: ${message}`;
  return [head, excerpt?.replace(/^/gm, "  "), help && `  help: ${help}`].filter(Boolean).join("\n");
}

/** Whether any of the findings refuses the set. */
export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some(({ severity }) => severity === "error");
}
