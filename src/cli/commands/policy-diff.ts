import { loadPolicyDirectory, type PolicyDirectory } from "../../policy/adapters/policy-directory.ts";
import { type CedarControl, createCedarControl } from "../../policy/control/cedar-control.ts";
import { diffPolicySets } from "../../policy/domain/policy-diff.ts";
import type { Command, CommandInput } from "../command.ts";
import { diffLines } from "../line-diff.ts";

/** Compares two policy directories by meaning. */
export const policyDiff: Command = {
  name: "policy diff",
  summary: "Compare the policies of two directories by id and meaning.",
  details: "Layout, comments and order make no difference. `+` is added, `-` removed, `~` changed.",
  arguments: ["BEFORE", "AFTER"],
  options: {
    json: { type: "boolean", description: "Write one JSON object." },
    "exit-code": { type: "boolean", description: "Exit with 1 when there is a difference." },
  },
  async run({ positionals, values, out }) {
    const [beforeDirectory, afterDirectory] = positionals as [string, string];
    const control = createCedarControl();
    try {
      const before = await loadPolicyDirectory(beforeDirectory, control);
      const after = await loadPolicyDirectory(afterDirectory, control);
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
