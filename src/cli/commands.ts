import type { Command } from "./command.ts";
import { auditTail } from "./commands/audit-tail.ts";
import { deadLettersDiscard, deadLettersList, deadLettersReplay } from "./commands/bus-dead-letters.ts";
import { busStatus } from "./commands/bus-status.ts";
import { cedarCorpus } from "./commands/cedar-corpus.ts";
import {
  clientCreate,
  clientDelete,
  clientGet,
  clientList,
  clientRotateSecret,
  clientUpdate,
} from "./commands/client.ts";
import { doctor } from "./commands/doctor.ts";
import { keyCreate, keyList, keyRevoke } from "./commands/key.ts";
import { mfaEnrol } from "./commands/mfa-enrol.ts";
import { mfaCodes, mfaRemove, mfaStatus } from "./commands/mfa-manage.ts";
import { policyDiff } from "./commands/policy-diff.ts";
import { policyFormat } from "./commands/policy-format.ts";
import { policyPublish } from "./commands/policy-publish.ts";
import { policyActivate, policyRevisions, policyRollback } from "./commands/policy-revisions.ts";
import { policyShadowReport, policyShadowSet, policyShadowStop } from "./commands/policy-shadow.ts";
import { policyTest } from "./commands/policy-test.ts";
import { policyValidate } from "./commands/policy-validate.ts";
import { replay } from "./commands/replay.ts";
import { sessionEnd, sessionEndAll, sessionList } from "./commands/session.ts";
import { keysList, keysRotate } from "./commands/signing-keys.ts";
import { userGet, userList } from "./commands/user-read.ts";
import {
  userCreate,
  userDelete,
  userRemoveMfa,
  userSetPassword,
  userUnlock,
  userUpdate,
} from "./commands/user-write.ts";

/** Every command of the `gatehouse` tool. */
export const COMMANDS: readonly Command[] = [
  doctor,
  policyValidate,
  policyFormat,
  policyTest,
  policyDiff,
  policyPublish,
  policyRevisions,
  policyActivate,
  policyRollback,
  policyShadowSet,
  policyShadowStop,
  policyShadowReport,
  userCreate,
  userGet,
  userList,
  userUpdate,
  userSetPassword,
  userRemoveMfa,
  userUnlock,
  userDelete,
  keyCreate,
  keyList,
  keyRevoke,
  clientCreate,
  clientGet,
  clientList,
  clientUpdate,
  clientRotateSecret,
  clientDelete,
  keysRotate,
  keysList,
  sessionList,
  sessionEnd,
  sessionEndAll,
  auditTail,
  replay,
  busStatus,
  deadLettersList,
  deadLettersReplay,
  deadLettersDiscard,
  mfaEnrol,
  mfaStatus,
  mfaCodes,
  mfaRemove,
  cedarCorpus,
];
