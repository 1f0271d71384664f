import type { Command } from "./command.ts";
import { cedarCorpus } from "./commands/cedar-corpus.ts";
import { mfaEnrol } from "./commands/mfa-enrol.ts";
import { mfaCodes, mfaRemove, mfaStatus } from "./commands/mfa-manage.ts";
import { policyDiff } from "./commands/policy-diff.ts";
import { policyFormat } from "./commands/policy-format.ts";
import { policyTest } from "./commands/policy-test.ts";
import { policyValidate } from "./commands/policy-validate.ts";

/** Every command of the `gatehouse` tool. */
export const COMMANDS: readonly Command[] = [
  policyValidate,
  policyFormat,
  policyTest,
  policyDiff,
  mfaEnrol,
  mfaStatus,
  mfaCodes,
  mfaRemove,
  cedarCorpus,
];
