import { ConfigError } from "../shared/config/config.ts";
import type { AuthConfig } from "./config.ts";
import type { IdentityStore } from "./domain/identities.ts";
import type { Passwords } from "./domain/passwords.ts";

/** Users of the demo. Everybody knows their passwords. */
const demoUsers = [
  { name: "alice", password: "wonderland", role: "editor" },
  { name: "bob", password: "builder", role: "viewer" },
] as const;

const loopback = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/;

/** @throws ConfigError when the demo would listen beyond the loopback address. */
export function assertDemoIsLocal({ grpcHost, httpHost }: Pick<AuthConfig, "grpcHost" | "httpHost">): void {
  const problems = Object.entries({ AUTH_GRPC_HOST: grpcHost, AUTH_HTTP_HOST: httpHost })
    .filter(([, host]) => !loopback.test(host))
    .map(([env]) => `${env} must be a loopback address with GATEHOUSE_PROFILE=demo: its passwords are public`);
  if (problems.length > 0) throw new ConfigError(problems);
}

/** Adds the demo's users, but for those that are there already. */
export async function seedDemo(identities: IdentityStore, passwords: Passwords, now: number): Promise<void> {
  for (const { name, password, role } of demoUsers) {
    if ((await identities.findUser(name)) !== undefined) continue;
    const passwordHash = await passwords.hash(password);
    await identities.createUser({
      name,
      roles: [role],
      attributes: {},
      passwordHash,
      disabled: false,
      createTime: now,
    });
  }
}
