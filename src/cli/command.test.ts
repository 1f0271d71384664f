import assert from "node:assert/strict";
import { test } from "node:test";
import { type Command, CommandError, runCommandLine } from "./command.ts";
import { COMMANDS } from "./commands.ts";

async function run(
  commands: readonly Command[],
  ...argv: string[]
): Promise<{ code: number; out: string; err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runCommandLine(commands, argv, { out: (line) => out.push(line), err: (line) => err.push(line) });
  return { code, out: out.join("\n"), err: err.join("\n") };
}

const greet: Command = {
  name: "greet",
  summary: "Say a word.",
  arguments: ["NAME"],
  options: { loud: { type: "boolean", short: "l", description: "Louder." } },
  async run({ positionals, values, out }) {
    if (positionals[0] === "nobody") throw new CommandError("there is nobody");
    if (positionals[0] === "bug") throw new TypeError("a bug");
    out(`${positionals[0]}${values.loud ? "!" : ""}`);
    return positionals[0] === "no" ? 1 : 0;
  },
};
const greetAll: Command = { ...greet, name: "greet all", arguments: [] };

test("a command is found by its words, the longest name first, and given its arguments", async () => {
  assert.deepEqual(await run([greet, greetAll], "greet", "you", "--loud"), { code: 0, out: "you!", err: "" });
  assert.deepEqual(await run([greet, greetAll], "greet", "-l", "you"), { code: 0, out: "you!", err: "" });
  assert.deepEqual(await run([greet, greetAll], "greet", "all"), { code: 0, out: "undefined", err: "" });
  assert.equal((await run([greet], "greet", "no")).code, 1);
});

test("what is not understood is told with the usage, and exits with 2", async () => {
  for (const [argv, message] of [
    [["greet"], /missing argument NAME/],
    [["greet", "a", "b"], /unexpected argument b/],
    [["greet", "a", "--quiet"], /Unknown option '--quiet'/],
    [["greet", "a", "--loud=yes"], /does not take an argument/],
    [["shout"], /unknown command shout/],
    [[], /Usage: gatehouse COMMAND/],
  ] as const) {
    const { code, out, err } = await run([greet], ...argv);
    if (argv.length > 0) assert.equal(code, 2);
    assert.match(out + err, message);
  }
  assert.match((await run([greet], "greet")).err, /Usage: gatehouse greet NAME \[OPTION…\]/);
});

test("an error for the user is told without a stack; any other is not caught", async () => {
  assert.deepEqual(await run([greet], "greet", "nobody"), { code: 1, out: "", err: "there is nobody" });
  await assert.rejects(run([greet], "greet", "bug"), TypeError);
});

test("every command has help, and all are listed", async () => {
  const { code, out } = await run(COMMANDS, "--help");
  assert.equal(code, 0);
  for (const { name, summary } of COMMANDS) {
    assert.ok(out.includes(name) && out.includes(summary));
    const help = await run(COMMANDS, ...name.split(" "), "--help");
    assert.equal(help.code, 0);
    assert.ok(help.out.startsWith(`Usage: gatehouse ${name}`));
  }
  const group = await run(COMMANDS, "policy", "--help");
  assert.equal(group.code, 0);
  assert.ok(group.out.includes("policy test") && !group.out.includes("cedar corpus"));
});
