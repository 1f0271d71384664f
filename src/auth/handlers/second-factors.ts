import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { SecondFactorService } from "../../../gen/gatehouse/auth/v1/second_factor_service_pb.ts";
import type { CallContext, Handlers } from "../../shared/rpc/handler.ts";
import { invalidArgument } from "../../shared/service-error.ts";
import { callOf } from "../convert.ts";
import type { Attempt } from "../domain/credentials/credential.ts";
import type { Lockout } from "../domain/lockout.ts";
import type { SecondFactors } from "../domain/second-factors.ts";
import { noSecondFactor, secondFactorNotSupported, secondFactorRequired } from "../errors.ts";
import type { SessionCaller } from "./session-caller.ts";

export interface SecondFactorHandlersOptions {
  readonly secondFactors: SecondFactors;
  readonly caller: SessionCaller;
  readonly lockout: Lockout;
  /** Tells the network that an attempt comes from. */
  readonly networkOf: (attempt: Attempt) => string | undefined;
}

/** Lets callers see to their own second factors. */
export function createSecondFactorHandlers(options: SecondFactorHandlersOptions): Handlers<typeof SecondFactorService> {
  const { secondFactors, caller, lockout, networkOf } = options;

  /** The user of a recent session that used the second factor, if the user has one: a stolen password must not replace it. */
  async function userWithAllFactors(context: CallContext): Promise<string> {
    const { user, amr } = await caller.recentSession(context);
    const { totpCreateTime } = await secondFactors.status(user);
    if (totpCreateTime !== undefined && !amr.includes("mfa")) throw secondFactorRequired();
    return user;
  }

  return {
    async enrolTotp(_request, context) {
      if (!secondFactors.available) throw secondFactorNotSupported();
      const { secret, uri, expireTime } = await secondFactors.enrol(await userWithAllFactors(context));
      return { secret, otpauthUri: uri, expireTime: timestampFromMs(expireTime) };
    },
    async confirmTotp({ code }, context) {
      const user = await userWithAllFactors(context);
      const who = { name: user, network: networkOf(callOf(context)) };
      await lockout.check("second-factor", who);
      const backupCodes = await secondFactors.confirm(user, code);
      if (backupCodes !== undefined) return { backupCodes: [...backupCodes] };
      await lockout.failed("second-factor", who);
      throw invalidArgument([{ field: "code", description: "is not valid now" }]);
    },
    async removeTotp(_request, context) {
      await secondFactors.remove(await userWithAllFactors(context));
      return {};
    },
    async regenerateBackupCodes(_request, context) {
      const backupCodes = await secondFactors.replaceBackupCodes(await userWithAllFactors(context));
      if (backupCodes === undefined) throw noSecondFactor();
      return { backupCodes: [...backupCodes] };
    },
    async getSecondFactors(_request, context) {
      const { user } = await caller.session(context);
      const { totpCreateTime, backupCodesLeft } = await secondFactors.status(user);
      return {
        backupCodesLeft,
        ...(totpCreateTime === undefined ? {} : { totpCreateTime: timestampFromMs(totpCreateTime) }),
      };
    },
  };
}
