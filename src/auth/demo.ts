import { adminRole } from "./bootstrap.ts";
import type { IdentityStore } from "./domain/identities.ts";
import type { Passwords } from "./domain/passwords.ts";

/** Users of the demo. Everybody knows their passwords. */
const demoUsers = [
  { name: "alice", password: "wonderland", role: "editor" },
  { name: "bob", password: "builder", role: "viewer" },
  { name: "admin", password: "gatehouse", role: adminRole },
] as const;

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
