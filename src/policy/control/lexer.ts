/**
 * A lexer for Cedar text, just deep enough to find where policies end, how deeply expressions nest and which integers
 * are large. What it cannot name it calls punctuation: the official parser judges the rest.
 */

/** Kinds of token; whitespace and comments are skipped. */
export type TokenKind = "identifier" | "integer" | "string" | "punctuation";

/** A token and its place, in UTF-16 code units. */
export type Token = { readonly kind: TokenKind; readonly text: string; readonly start: number; readonly end: number };

/** One policy or template of a file: its text and its place, in UTF-16 code units. */
export type Statement = { readonly start: number; readonly end: number; readonly tokens: readonly Token[] };

const TOKEN =
  /\s+|\/\/[^\n\r]*|(?<identifier>[A-Za-z_][A-Za-z0-9_]*)|(?<integer>[0-9]+)|(?<punctuation>&&|\|\||==|!=|<=|>=|::|[\s\S])/uy;

/** Splits Cedar text into tokens, in time linear in its length. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text)) {
    const { identifier, integer, punctuation } = match.groups!;
    const start = match.index;
    if (punctuation === '"') TOKEN.lastIndex = findStringEnd(text, start);
    else if (!identifier && !integer && !punctuation) continue;
    const kind = identifier ? "identifier" : integer ? "integer" : punctuation === '"' ? "string" : "punctuation";
    tokens.push({ kind, text: text.slice(start, TOKEN.lastIndex), start, end: TOKEN.lastIndex });
  }
  return tokens;
}

/** Where a string ends; by hand, since on megabytes of it a regular expression exhausts its stack. */
function findStringEnd(text: string, start: number): number {
  let end = start + 1;
  while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
  return Math.min(end + 1, text.length);
}

/**
 * Splits a file's tokens into statements at every `;`. No Cedar expression holds one outside a string, so a mistake in
 * one policy never hides those of the next.
 */
export function splitStatements(tokens: readonly Token[]): Statement[] {
  const statements: Statement[] = [];
  let from = 0;
  for (let index = 0; index < tokens.length; index++) {
    const last = tokens[index]!;
    if (last.text !== ";" && index + 1 < tokens.length) continue;
    statements.push({ start: tokens[from]!.start, end: last.end, tokens: tokens.slice(from, index + 1) });
    from = index + 1;
  }
  return statements;
}

/** Whether a statement is a template: it names a slot. */
export function hasSlot({ tokens }: Statement): boolean {
  return tokens.some(({ text }, index) => text === "?" && tokens[index + 1]?.kind === "identifier");
}
