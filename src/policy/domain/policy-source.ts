import { createHash } from "node:crypto";

/** The source text of a policy set. */
export interface PolicySource {
  /** Policy files, in order. */
  readonly files: readonly { readonly name: string; readonly text: string }[];
  /** In Cedar's syntax or as JSON; empty for none. */
  readonly schema: string;
  /** Template links as JSON; empty for none. */
  readonly links: string;
  /** Whether a failing `forbid` is skipped, as in Cedar's standard semantics, rather than denies. */
  readonly skipFailingForbids: boolean;
}

/** SHA-256 of a source in hex: equal exactly where the content is. */
export function contentHash({ files, schema, links, skipFailingForbids }: PolicySource): string {
  const content = [files.map(({ name, text }) => [name, text]), schema, links, skipFailingForbids];
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}
