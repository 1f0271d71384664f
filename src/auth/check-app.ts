import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { Authorization } from "../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import type { UnaryHandler } from "../shared/rpc/handler.ts";
import { followMapping } from "./adapters/mapping-follower.ts";
import { createChecker } from "./check/checker.ts";
import { createCheckMetrics } from "./check-metrics.ts";
import type { AccessDecider } from "./domain/authorizer.ts";
import type { Authenticator } from "./domain/credentials/authenticator.ts";
import { createCheckHandler } from "./handlers/check.ts";

export interface CheckOptions {
  /** The mapping file; empty for none. */
  readonly mappingPath: string;
  readonly authenticate: Authenticator;
  readonly decideAccess: AccessDecider;
  readonly registry: Registry;
  readonly logger: Logger;
}

/** Check with its mapping, ready to be served. */
export interface Check {
  readonly handler: UnaryHandler<typeof Authorization.method.check>;
  close(): void;
}

/** @throws MappingError */
export function createCheck({ mappingPath, authenticate, decideAccess, registry, logger }: CheckOptions): Check {
  const metrics = createCheckMetrics(registry);
  if (mappingPath === "") logger.info("AUTH_CHECK_MAPPING is not set: Check refuses everything");
  const follower =
    mappingPath === ""
      ? undefined
      : followMapping({ path: mappingPath, logger, onLook: (inForce) => metrics.mappingInForce(inForce) });
  return {
    handler: createCheckHandler({
      check: createChecker({ mapping: () => follower?.current, authenticate, decideAccess }),
      settings: () => follower?.current.settings,
      observe: (outcome) => metrics.observe(outcome),
    }),
    close: () => follower?.close(),
  };
}
