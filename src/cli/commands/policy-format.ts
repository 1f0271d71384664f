import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readPolicyFiles } from "../../policy/adapters/policy-files.ts";
import { createCedarControl } from "../../policy/control/cedar-control.ts";
import type { Command } from "../command.ts";

/** Formats the policies of a directory in place. */
export const policyFormat: Command = {
  name: "policy format",
  summary: "Format a directory's policies.",
  details: "Names the files it changes. A file that does not parse is left as it is, and so are all others.",
  arguments: ["DIR"],
  options: { check: { type: "boolean", description: "Change nothing; exit with 1 when a file would change." } },
  async run({ positionals, values, out }) {
    const [directory] = positionals as [string];
    const control = createCedarControl();
    try {
      const { policies } = await readPolicyFiles(directory);
      const changed: { name: string; text: string }[] = [];
      for (const file of policies) {
        const text = await control.format(file);
        if (text !== file.text) changed.push({ name: file.name, text });
      }
      for (const { name, text } of changed) {
        const path = join(directory, name);
        out(values.check ? `${path} is not formatted` : path);
        if (!values.check) await replaceFile(path, text);
      }
      return values.check && changed.length > 0 ? 1 : 0;
    } finally {
      await control.close();
    }
  },
};

/** Writes beside and renames: a watcher never sees half a file. */
async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.formatting`;
  await writeFile(temporary, text);
  await rename(temporary, path);
}
