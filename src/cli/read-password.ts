import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import type { ReadStream } from "node:tty";
import { CommandError } from "./command.ts";

/** Where a password is read from: a terminal, or anything that writes. */
export type PasswordInput = Pick<ReadStream, "isTTY"> & NodeJS.ReadableStream;

/**
 * Reads a password: from a terminal twice and without an echo, otherwise all of the input but the end of its last line.
 *
 * @throws CommandError when there is none, or the two are not the same.
 */
export async function readPassword(
  input: PasswordInput = process.stdin,
  show: (text: string) => void = (shown) => void process.stderr.write(shown),
): Promise<string> {
  if (!input.isTTY) return given((await text(input)).replace(/\r?\n$/, ""));
  const password = given(await ask("Password: ", input, show));
  if ((await ask("Once more: ", input, show)) !== password) throw new CommandError("The two are not the same.");
  return password;
}

function given(password: string): string {
  if (password === "") throw new CommandError("There was no password on standard input.");
  return password;
}

async function ask(prompt: string, input: PasswordInput, show: (text: string) => void): Promise<string> {
  // It edits the line as usual, and writes what would be its echo nowhere.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input, output: nowhere, terminal: true, historySize: 0 });
  show(prompt);
  try {
    return await new Promise((resolve, reject) => {
      lines.once("line", resolve);
      lines.once("close", () => reject(new CommandError("There was no password.")));
    });
  } finally {
    lines.close();
    show("\n");
  }
}
