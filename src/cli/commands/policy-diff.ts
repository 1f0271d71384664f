import { existsSync } from "node:fs";
import { PolicyAdminService } from "../../../gen/gatehouse/policy/v1/policy_admin_service_pb.ts";
import { loadPolicyDirectory, type PolicyDirectory } from "../../policy/adapters/policy-directory.ts";
import { createCompileSource } from "../../policy/compile-source.ts";
import { type CedarControl, createCedarControl } from "../../policy/control/cedar-control.ts";
import { toSource } from "../../policy/convert-admin.ts";
import { diffPolicySets } from "../../policy/domain/policy-diff.ts";
import type { Command, CommandInput } from "../command.ts";
import { diffLines } from "../line-diff.ts";
import { adminDetails, policyOptions, withClient } from "../service-client.ts";

/** Compares two policy sets by meaning. */
export const policyDiff: Command = {
  name: "policy diff",
  summary: "Compare the policies of two directories or published revisions by id and meaning.",
  details: `Layout, comments and order make no difference. \`+\` is added, \`-\` removed, \`~\` changed. For revisions: ${adminDetails}`,
  arguments: ["BEFORE", "AFTER"],
  options: {
    ...policyOptions,
    json: { type: "boolean", description: "Write one JSON object." },
    "exit-code": { type: "boolean", description: "Exit with 1 when there is a difference." },
  },
  async run({ positionals, values, out }) {
    const control = createCedarControl();
    try {
      const load = (name: string | undefined) => loadPolicies(name ?? "", values, control);
      const [before, after] = [await load(positionals[0]), await load(positionals[1])];
      const diff = diffPolicySets(before.policySet, after.policySet);
      const schemaChanged = JSON.stringify(before.schema?.json) !== JSON.stringify(after.schema?.json);
      if (values.json) out(JSON.stringify({ ...diff, schemaChanged }, undefined, 2));
      else await print(diff, { before, after, schemaChanged }, control, out);
      const different = schemaChanged || Object.values(diff).some((ids) => ids.length > 0);
      return values["exit-code"] && different ? 1 : 0;
    } finally {
      await control.close();
    }
  },
};

/** The policies of a directory, or of a revision, which is named as no directory is likely to be. */
async function loadPolicies(
  name: string,
  values: CommandInput["values"],
  control: CedarControl,
): Promise<PolicyDirectory> {
  if (!/^\d+-[0-9a-f]{12}$/.test(name) || existsSync(name)) return await loadPolicyDirectory(name, control);
  const { bundle } = await withClient(PolicyAdminService, { values }, (client, options) =>
    client.getRevision({ revision: name }, options),
  );
  return await createCompileSource(control)(toSource(bundle));
}

async function print(
  diff: ReturnType<typeof diffPolicySets>,
  { before, after, schemaChanged }: { before: PolicyDirectory; after: PolicyDirectory; schemaChanged: boolean },
  control: CedarControl,
  out: CommandInput["out"],
): Promise<void> {
  for (const id of diff.removed) out(`- ${id}`);
  for (const id of diff.added) out(`+ ${id}`);
  for (const id of diff.changed) {
    out(`~ ${id}`);
    const lines = diffLines(await describe(before, id, control), await describe(after, id, control));
    for (const line of lines) out(`    ${line}`);
  }
  if (schemaChanged) out("~ the schema");
  const { added, removed, changed } = diff;
  out(`${added.length} added, ${removed.length} removed, ${changed.length} changed`);
}

/** A policy's text as the formatter writes it, or a link's template and values. */
async function describe({ policies, policySet }: PolicyDirectory, id: string, control: CedarControl): Promise<string> {
  const policy = policies.policies.find((candidate) => candidate.id === id);
  if (!policy)
    return JSON.stringify(
      policySet.templateLinks.find(({ newId }) => newId === id),
      undefined,
      2,
    );
  const { source, start, end } = policy.place;
  return (await control.format(source.text.slice(start, end))).trimEnd();
}
