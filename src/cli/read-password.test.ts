import assert from "node:assert/strict";
import { PassThrough, Readable } from "node:stream";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { type PasswordInput, readPassword } from "./read-password.ts";

function piped(...chunks: string[]): PasswordInput {
  return Object.assign(Readable.from(chunks), { isTTY: false });
}

/** A keyboard: each text is typed once something has been asked. */
async function typed(...texts: string[]): Promise<{ password: Promise<string>; shown: () => string }> {
  const keyboard = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => undefined });
  let shown = "";
  const password = readPassword(keyboard, (text) => {
    shown += text;
  });
  password.catch(() => undefined);
  for (const text of texts) {
    keyboard.write(text);
    for (let turns = 0; turns < 5; turns += 1) await turn();
  }
  return { password, shown: () => shown };
}

test("a piped password is all of the input but the end of its line", async () => {
  assert.equal(await readPassword(piped("correct horse\n")), "correct horse");
  assert.equal(await readPassword(piped("correct", " horse\r\n")), "correct horse");
  assert.equal(await readPassword(piped(" two\nlines \n\n")), " two\nlines \n");
  await assert.rejects(readPassword(piped()), { name: "CommandError" });
  await assert.rejects(readPassword(piped("\n")), { name: "CommandError" });
});

test("a typed password is asked for twice and never shown", async () => {
  const { password, shown } = await typed("correct house\u007f\u007f\u007frse\r", "correct horse\r");
  assert.equal(await password, "correct horse");
  assert.equal(shown(), "Password: \nOnce more: \n");
});

test("two typed passwords must be the same, and Ctrl-C and Ctrl-D give none", async () => {
  await assert.rejects((await typed("correct horse\r", "correct house\r")).password, /not the same/);
  await assert.rejects((await typed("\r")).password, /no password/);
  await assert.rejects((await typed("corr\u0003")).password, /no password/);
  await assert.rejects((await typed("\u0004")).password, /no password/);
});
