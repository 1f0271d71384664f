import { setTimeout as sleep } from "node:timers/promises";
import type { Calls, Credential, SignedIn, Variant } from "./calls.ts";
import type { AuthClients, Clients, PolicyClients } from "./clients.ts";
import type { Random } from "./random.ts";
import type { Recorded } from "./recorder.ts";

/** What the workload has made, to be looked at again when all is quiet. */
export interface Inventory {
  readonly users: Set<string>;
  readonly entities: Set<string>;
  readonly credentials: Set<Credential>;
  readonly revisions: Set<string>;
}

export interface WorkloadOptions {
  readonly clients: Clients;
  readonly calls: Calls;
  readonly random: Random;
  /** Actors that each lead users through their lives. */
  readonly actors: number;
  /** Longest pause between an actor's calls, in milliseconds. */
  readonly pauseMs: number;
  readonly signal: AbortSignal;
}

/** How often a revocation is repeated until it is acknowledged: one that was begun is carried out at some time, however late. */
const attempts = 60;
/** Dead credentials and live entities that are presented again and again. */
const remembered = 40;

/** Works on every replica until the signal, then resolves with what it has made. Errors of the services are its daily bread. */
export async function runWorkload(options: WorkloadOptions): Promise<Inventory> {
  const { clients, calls, random, actors, pauseMs, signal } = options;
  const inventory: Inventory = {
    users: new Set(),
    entities: new Set(),
    credentials: new Set(),
    revisions: new Set(),
  };
  const dead: Credential[] = [];
  const known: string[] = [];

  function remember<T>(list: T[], item: T): void {
    list.push(item);
    if (list.length > remembered) list.shift();
  }

  async function actor(number: number, own: Random): Promise<void> {
    for (let life = 0; !signal.aborted; life += 1) await live(`u${number}-${life}`, own);
  }

  /** One user's life. */
  async function live(name: string, own: Random): Promise<void> {
    const anyAuth = (): AuthClients => own.oneOf(clients.auth);
    const anyPolicy = (): PolicyClients => own.oneOf(clients.policy);
    const pause = async (): Promise<void> => {
      await sleep(own.between(1, pauseMs));
    };
    /** Repeats what ends something until it is acknowledged, for that is when the promise begins. */
    const surely = async (call: () => Promise<Recorded<unknown>>): Promise<void> => {
      for (let attempt = 0; attempt < attempts; attempt += 1) {
        const { outcome } = await call();
        if (outcome !== "unknown") return;
        await sleep(own.between(50, 400));
      }
    };
    const password = `password of ${name}`;
    const live: Credential[] = [];
    const sessions: SignedIn[] = [];
    const adopt = (credential: Credential): void => {
      live.push(credential);
      inventory.credentials.add(credential);
    };
    /** Presents what should be dead by now where it might still be taken for good. */
    const bury = async (gone: readonly Credential[]): Promise<void> => {
      for (const credential of gone) {
        remember(dead, credential);
        await Promise.all(clients.auth.map((at) => calls.authenticate(at, credential)));
        await calls.authorize(anyAuth(), credential, "view");
      }
    };

    const { outcome } = await calls.createUser(anyAuth(), name, password);
    inventory.users.add(name);
    if (outcome !== "ok") return pause();
    if (own.chance(0.7)) {
      await calls.putEntity(anyPolicy(), name);
      inventory.entities.add(name);
      remember(known, name);
    }
    for (let n = own.between(1, 3); n > 0; n -= 1) {
      const signedIn = await calls.signIn(anyAuth(), name, password);
      if (signedIn === undefined) continue;
      sessions.push(signedIn);
      adopt(signedIn.session);
      adopt(signedIn.token);
    }
    const key = own.chance(0.5) ? await calls.createKey(anyAuth(), name) : undefined;
    if (key !== undefined) adopt(key);

    for (let n = own.between(10, 25); n > 0 && !signal.aborted; n -= 1) {
      await pause();
      const credential =
        live.length > 0 && !own.chance(0.1) ? own.oneOf(live) : dead.length > 0 ? own.oneOf(dead) : undefined;
      const kind = own.next();
      if (kind < 0.12) {
        const user = known.length > 0 && own.chance(0.5) ? own.oneOf(known) : name;
        await calls.evaluate(anyPolicy(), user, own.oneOf(["view", "read"]), own.oneOf(["unary", "stream"]));
      } else if (kind < 0.2 && sessions.length > 0) {
        const [signedIn] = sessions.splice(own.between(0, sessions.length - 1), 1) as [SignedIn];
        const next = await calls.refresh(anyAuth(), signedIn);
        // When the answer was lost, using the old token again could be taken for theft: the session goes on without.
        if (next !== undefined) {
          sessions.push(next);
          adopt(next.token);
        }
      } else if (credential !== undefined) {
        if (kind < 0.4) await calls.authenticate(anyAuth(), credential);
        else if (kind < 0.45) await calls.introspect(anyAuth(), credential);
        else await calls.authorize(anyAuth(), credential, own.chance(0.6) ? "view" : "read");
      }
    }

    const oneSession = own.chance(0.6) ? sessions[0] : undefined;
    const token = sessions[1]?.token;
    if (token !== undefined && own.chance(0.6)) {
      await surely(() => calls.revokeToken(anyAuth(), token));
      await bury([token]);
    }
    if (oneSession !== undefined) {
      const gone = [oneSession.session, ...oneSession.tokens];
      await surely(() => calls.revokeSession(anyAuth(), oneSession.sessionId, gone));
      await bury(gone);
    }
    if (key !== undefined && own.chance(0.5)) {
      await surely(() => calls.revokeKey(anyAuth(), key.id, key));
      await bury([key]);
    }
    if (inventory.entities.has(name) && own.chance(0.6)) {
      await surely(() => calls.deleteEntity(anyPolicy(), name));
      await Promise.all(clients.policy.map((at) => calls.evaluate(at, name, "view", "unary")));
    }
    const kind = own.next();
    if (kind < 0.3) {
      const gone = live.filter((credential) => credential.kind !== "apiKey");
      await surely(() => calls.revokeUser(anyAuth(), name, gone));
      await bury(gone);
    } else if (kind < 0.6) {
      await surely(() => calls.deleteUser(anyAuth(), name, live));
      await bury(live);
      await calls.signIn(anyAuth(), name, password);
    }
  }

  async function policyActor(own: Random): Promise<void> {
    const published: { readonly id: string; readonly variant: Variant }[] = [];
    for (let n = 0; !signal.aborted; n += 1) {
      const at = own.oneOf(clients.policy);
      const variant = own.oneOf<Variant>(["open", "closed"]);
      const kind = own.next();
      if (kind < 0.5 || published.length === 0) {
        const id = await calls.publish(at, variant, `revision ${n}`, true);
        if (id !== undefined) {
          published.push({ id, variant });
          inventory.revisions.add(id);
        }
      } else if (kind < 0.8) {
        const { id, variant: its } = own.oneOf(published);
        await calls.activate(at, id, its);
      } else {
        await calls.rollback(at);
      }
      for (const replica of clients.policy)
        await calls.evaluate(replica, "anybody", "read", own.oneOf(["unary", "stream"]));
      await sleep(own.between(100, 1_500), undefined, { signal }).catch(() => undefined);
    }
  }

  await Promise.all([
    ...Array.from({ length: actors }, (_, number) => actor(number, random.fork())),
    policyActor(random.fork()),
  ]);
  return inventory;
}

/** Looks at everything once more on every replica, now that nothing changes any more. */
export async function verify(
  { clients, calls }: Pick<WorkloadOptions, "clients" | "calls">,
  inventory: Inventory,
): Promise<void> {
  const work: (() => Promise<unknown>)[] = [];
  for (const at of clients.auth) {
    for (const user of inventory.users) work.push(() => calls.getUser(at, user));
    for (const credential of inventory.credentials) work.push(() => calls.authenticate(at, credential));
  }
  for (const at of clients.policy) {
    for (const user of inventory.entities) {
      work.push(() => calls.getEntity(at, user));
      work.push(() => calls.evaluate(at, user, "view", "unary"));
    }
    for (const revision of inventory.revisions) work.push(() => calls.getRevision(at, revision));
    work.push(() => calls.evaluate(at, "anybody", "read", "unary"));
  }
  const worker = async (): Promise<void> => {
    for (let next = work.pop(); next !== undefined; next = work.pop()) await next();
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}
