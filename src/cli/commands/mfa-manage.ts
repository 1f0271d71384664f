import { timestampDate } from "@bufbuild/protobuf/wkt";
import { SecondFactorService } from "../../../gen/gatehouse/auth/v1/second_factor_service_pb.ts";
import type { Command } from "../command.ts";
import { authOptions, jsonOption, withClient } from "../service-client.ts";
import { ownerDetails } from "./mfa-enrol.ts";

/** Tells which second factors the user has. */
export const mfaStatus: Command = {
  name: "mfa status",
  summary: "Show the second factors of the signed-in user.",
  details: ownerDetails,
  arguments: [],
  options: { ...authOptions, ...jsonOption },
  async run({ values, out }) {
    const found = await withClient(SecondFactorService, { values }, (client, options) =>
      client.getSecondFactors({}, options),
    );
    const { totpCreateTime, backupCodesLeft } = found;
    const since = totpCreateTime === undefined ? undefined : timestampDate(totpCreateTime).toISOString();
    if (values.json) out(JSON.stringify({ totpCreateTime: since ?? null, backupCodesLeft }));
    else
      out(
        since === undefined ? "no authenticator" : `authenticator since ${since}, ${backupCodesLeft} backup codes left`,
      );
    return 0;
  },
};

/** Replaces the user's backup codes. */
export const mfaCodes: Command = {
  name: "mfa codes",
  summary: "Print new backup codes of the signed-in user, in place of all before.",
  details: ownerDetails,
  arguments: [],
  options: authOptions,
  async run({ values, out }) {
    const { backupCodes } = await withClient(SecondFactorService, { values }, (client, options) =>
      client.regenerateBackupCodes({}, options),
    );
    for (const code of backupCodes) out(code);
    return 0;
  },
};

/** Takes the user's authenticator away. */
export const mfaRemove: Command = {
  name: "mfa remove",
  summary: "Remove authenticator and backup codes of the signed-in user.",
  details: ownerDetails,
  arguments: [],
  options: authOptions,
  async run({ values, out }) {
    await withClient(SecondFactorService, { values }, (client, options) => client.removeTotp({}, options));
    out("There is no authenticator any more.");
    return 0;
  },
};
