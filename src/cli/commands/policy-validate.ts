import { loadPolicyDirectory, type PolicyDirectory } from "../../policy/adapters/policy-directory.ts";
import { createCedarControl } from "../../policy/control/cedar-control.ts";
import { type Diagnostic, PolicySourceError, renderDiagnostics } from "../../policy/control/diagnostics.ts";
import type { Command } from "../command.ts";

/** Parses, validates and compiles a policy directory, and tells all that is wrong with it. */
export const policyValidate: Command = {
  name: "policy validate",
  summary: "Check a directory of policies, schema, entities and template links.",
  details:
    "With a schema, policies are validated strictly and entities are checked against it.\nExits with 1 when there is an error.",
  arguments: ["DIR"],
  options: {
    json: { type: "boolean", description: "Write one JSON object." },
    "deny-warnings": { type: "boolean", description: "Take warnings for errors." },
  },
  async run({ positionals, values, out, err }) {
    const [directory] = positionals as [string];
    const control = createCedarControl();
    const { loaded, diagnostics } = await load(directory, control).finally(() => control.close());
    const failed = !loaded || (values["deny-warnings"] === true && diagnostics.length > 0);
    if (values.json) {
      out(JSON.stringify({ valid: !failed, diagnostics, ...(loaded && describe(loaded)) }, undefined, 2));
      return failed ? 1 : 0;
    }
    if (diagnostics.length > 0) err(renderDiagnostics(diagnostics));
    if (!loaded) err(`${directory}: ${count(diagnostics, "error")}, ${count(diagnostics, "warning")}`);
    if (!loaded) return 1;
    const { policies, templates, links, entities } = describe(loaded);
    if (!loaded.schema) err("There is no schema: names and types are not checked.");
    out(`${directory}: ${policies} policies, ${templates} templates, ${links} links, ${entities} entities: valid`);
    return failed ? 1 : 0;
  },
};

async function load(
  directory: string,
  control: ReturnType<typeof createCedarControl>,
): Promise<{ loaded?: PolicyDirectory; diagnostics: readonly Diagnostic[] }> {
  try {
    const loaded = await loadPolicyDirectory(directory, control);
    return { loaded, diagnostics: loaded.warnings };
  } catch (error) {
    if (!(error instanceof PolicySourceError)) throw error;
    return { diagnostics: error.diagnostics };
  }
}

function describe({ policySet, entities, schema, contentHash }: PolicyDirectory) {
  return {
    policies: Object.keys(policySet.staticPolicies).length,
    templates: Object.keys(policySet.templates).length,
    links: policySet.templateLinks.length,
    entities: entities.length,
    schema: schema !== undefined,
    contentHash,
  };
}

function count(diagnostics: readonly Diagnostic[], severity: Diagnostic["severity"]): string {
  const found = diagnostics.filter((diagnostic) => diagnostic.severity === severity).length;
  return `${found} ${severity}${found === 1 ? "" : "s"}`;
}
