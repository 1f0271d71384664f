#!/usr/bin/env node
import { runCommandLine } from "./command.ts";
import { COMMANDS } from "./commands.ts";

process.exitCode = await runCommandLine(COMMANDS, process.argv.slice(2), {
  out: (line) => void process.stdout.write(`${line}\n`),
  err: (line) => void process.stderr.write(`${line}\n`),
});
