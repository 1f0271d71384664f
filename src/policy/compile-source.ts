import { type PolicyDirectory, parsePolicyFiles } from "./adapters/policy-directory.ts";
import type { CedarControl } from "./control/cedar-control.ts";
import type { SourceFile } from "./control/sources.ts";
import { contentHash, type PolicySource } from "./domain/policy-source.ts";

/** Parses, validates and compiles a source. Rejects with PolicySourceError, and every finding, when any is an error. */
export type CompileSource = (source: PolicySource) => Promise<PolicyDirectory>;

export function createCompileSource(control: CedarControl): CompileSource {
  return (source) =>
    parsePolicyFiles(
      {
        policies: source.files,
        schema: file("schema.cedarschema", source.schema),
        entities: [],
        links: file("links.json", source.links),
        contentHash: contentHash(source),
      },
      control,
    );
}

function file(name: string, text: string): SourceFile | undefined {
  return text === "" ? undefined : { name, text };
}
