import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { ServiceError } from "../shared/service-error.ts";
import type { ApiKeys, MadeApiKey } from "./domain/api-keys.ts";
import type { Clock } from "./domain/clock.ts";
import type { IdentityStore } from "./domain/identities.ts";

/** Name of the first user, and the role that the policies for admin calls know. */
const admin = "admin";
export const adminRole = "gatehouse-admin";

export interface BootstrapOptions {
  readonly identities: IdentityStore;
  readonly apiKeys: ApiKeys;
  readonly clock: Clock;
  /** Shows a text to whoever starts the service. Not a log: the text holds a secret. */
  readonly announce: (text: string) => void;
}

/**
 * Makes the first admin, if there is nobody yet, and announces an API key for it, once.
 *
 * Of several replicas that start together, one does. An attempt that ended half way is made good by the next start: a lone
 * admin who has neither a password nor a key counts as nobody.
 */
export async function bootstrapAdmin({ identities, apiKeys, clock, announce }: BootstrapOptions): Promise<void> {
  const [first, second] = await identities.listUsers("", 2);
  if (second !== undefined) return;
  if (first === undefined) {
    const user = { name: admin, roles: [adminRole], attributes: {}, passwordHash: undefined, disabled: false };
    if (!(await identities.createUser({ ...user, createTime: clock() }))) return;
  } else if (first.name !== admin || first.passwordHash !== undefined) {
    return;
  }
  const key = { user: admin, displayName: "bootstrap", scopes: [], expireTime: undefined };
  // The limit lets one replica have the key.
  const made = await apiKeys.make(key, 1);
  if (typeof made === "object") announce(announcement(made));
}

function announcement({ key, text }: MadeApiKey): string {
  return `
There is no user yet, so Gatehouse has made one: \`${admin}\`, with the role ${adminRole} and this API key, which is shown
this once:

  ${text}

Use it as GATEHOUSE_TOKEN to add users (\`gatehouse user create\`), then revoke it: \`gatehouse key revoke ${key.id}\`

`;
}

export interface BootstrapRunOptions extends BootstrapOptions {
  /** Waits until the store can be used. */
  readonly ready: (signal: AbortSignal) => Promise<void>;
  readonly logger: Logger;
  /** Ends the attempts. */
  readonly signal: AbortSignal;
}

/** Does it once the store can be used, however long that takes. Never rejects. */
export async function bootstrapWhenReady(options: BootstrapRunOptions): Promise<void> {
  const { ready, logger, signal } = options;
  while (!signal.aborted) {
    try {
      const connected = await ready(signal).then(
        () => true,
        () => false,
      );
      if (connected) return await bootstrapAdmin(options);
    } catch (err) {
      if (!(err instanceof ServiceError) || err.code !== "UNAVAILABLE") {
        logger.error({ err }, "the first admin could not be made");
        return;
      }
    }
    await sleep(1_000, undefined, { signal, ref: false }).catch(() => undefined);
  }
}
