import { type ParseArgsOptionDescriptor, parseArgs } from "node:util";

/** An option of a command, with what `--help` says of it. */
export type CommandOption = ParseArgsOptionDescriptor & { readonly description: string; readonly placeholder?: string };

/** What a command is run with. */
export type CommandInput = {
  readonly positionals: readonly string[];
  readonly values: { readonly [option: string]: string | boolean | (string | boolean)[] | undefined };
  /** Writes a line to standard output. */
  readonly out: (line: string) => void;
  /** Writes a line to standard error. */
  readonly err: (line: string) => void;
};

/** One command: a file in `commands/`, and a line in the table. */
export type Command = {
  /** As it is typed, for example `policy validate`. */
  readonly name: string;
  /** One line, for the list of commands. */
  readonly summary: string;
  /** More, for the command's own help. */
  readonly details?: string;
  /** Names of the arguments, all of them needed. */
  readonly arguments: readonly string[];
  readonly options: { readonly [name: string]: CommandOption };
  /** Answers the exit code: 0 for yes, 1 for no. */
  run(input: CommandInput): Promise<number>;
};

/** The command line was not understood; the exit code is 2. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

/** Something that went wrong in a way its user can mend: it is told without a stack. */
export class CommandError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "CommandError";
  }
}

/** Errors by name whose messages are written for users. */
const EXPECTED = new Set([
  "CommandError",
  "PolicySourceError",
  "PolicyDirectoryError",
  "CedarWasmError",
  "EntityError",
  "PolicyCompileError",
]);

/** Runs a command line against a table of commands. Answers the exit code: 0, 1, or 2 for usage. */
export async function runCommandLine(
  commands: readonly Command[],
  argv: readonly string[],
  { out, err }: Pick<CommandInput, "out" | "err">,
): Promise<number> {
  const command = findCommand(commands, argv);
  if (!command) return listCommands(commands, argv, out, err);
  const words = command.name.split(" ").length;
  try {
    const input = parse(command, argv.slice(words));
    if (input.values.help) {
      out(describe(command));
      return 0;
    }
    const missing = command.arguments[input.positionals.length];
    if (missing) throw new UsageError(`missing argument ${missing}`);
    if (input.positionals.length > command.arguments.length) {
      throw new UsageError(`unexpected argument ${input.positionals[command.arguments.length]}`);
    }
    return await command.run({ ...input, out, err });
  } catch (error) {
    if (error instanceof UsageError) {
      err(`gatehouse ${command.name}: ${error.message}\n\n${describe(command)}`);
      return 2;
    }
    if (!(error instanceof Error) || !EXPECTED.has(error.name)) throw error;
    err(error.message);
    return 1;
  }
}

function findCommand(commands: readonly Command[], argv: readonly string[]): Command | undefined {
  const starts = ({ name }: Command): boolean => name.split(" ").every((word, index) => argv[index] === word);
  // The longest name wins, so that `a b` may stand beside `a`.
  return commands.filter(starts).sort((a, b) => b.name.length - a.name.length)[0];
}

function parse({ options }: Command, args: readonly string[]): Pick<CommandInput, "positionals" | "values"> {
  const known = { ...options, help: { type: "boolean", short: "h" } } satisfies Record<
    string,
    ParseArgsOptionDescriptor
  >;
  try {
    return parseArgs({ args: [...args], options: known, allowPositionals: true, strict: true });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw code?.startsWith("ERR_PARSE_ARGS") ? new UsageError(message) : error;
  }
}

function listCommands(
  commands: readonly Command[],
  argv: readonly string[],
  out: (line: string) => void,
  err: (line: string) => void,
): number {
  const asked = argv.filter((word) => !["help", "--help", "-h"].includes(word));
  const group = commands.filter(({ name }) => asked.every((word, index) => name.split(" ")[index] === word));
  const known = group.length > 0 && (asked.length < argv.length || asked.length === 0);
  const shown = group.length > 0 ? group : commands;
  const width = Math.max(...shown.map(({ name }) => name.length));
  const lines = shown.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  const text = `Usage: gatehouse COMMAND [OPTION…]\n\n${lines.join("\n")}\n\n\`gatehouse COMMAND --help\` says more.`;
  if (known) out(text);
  else err(group.length > 0 ? text : `gatehouse: unknown command ${argv.join(" ")}\n\n${text}`);
  return known ? 0 : 2;
}

function describe({ name, summary, details, arguments: names, options }: Command): string {
  const rows = Object.entries({
    ...options,
    help: { type: "boolean", short: "h", description: "Show this." } as CommandOption,
  }).map(([option, { type, short, placeholder = "VALUE", description, default: preset }]): [string, string] => [
    `${short ? `-${short}, ` : "    "}--${option}${type === "string" ? ` ${placeholder}` : ""}`,
    preset === undefined || preset === false ? description : `${description} Default ${preset}.`,
  ]);
  const width = Math.max(...rows.map(([left]) => left.length));
  const usage = ["Usage: gatehouse", name, ...names, "[OPTION…]"].join(" ");
  const table = rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
  return [usage, summary, details, table].filter(Boolean).join("\n\n");
}
