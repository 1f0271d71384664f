import { hash } from "node:crypto";
import { type Awaitable, chain } from "../../shared/awaitable.ts";
import { signInLocked } from "../errors.ts";
import type { Clock } from "./clock.ts";

/** What failures are counted for: passwords of a name, codes of a name, and anything from a network. */
export type LockoutKind = "password" | "second-factor" | "network";

/** Who tries to sign in. */
export interface SignInAttempt {
  /** Folded user name; of a user, or of nobody. */
  readonly name: string;
  /** Where the attempt comes from (client-network.ts); undefined when that is not known. */
  readonly network: string | undefined;
}

/**
 * A counter of failures. Where `network` is one that its user has signed in from, it is a counter of that network alone,
 * beside the one that all other networks share.
 */
export interface FailureCounter {
  readonly kind: LockoutKind;
  /** SHA-256 of the name or network, in base64url: what is typed as a name may be a password. */
  readonly subject: string;
  readonly network?: string;
}

/** How failures are answered. Times are in milliseconds. */
export interface LockoutRule {
  /** Failures, the last of which begins the first delay. */
  readonly failures: number;
  readonly firstDelayMs: number;
  /** Each further failure doubles the delay, up to this. One failure is forgiven for each such time without another. */
  readonly maxDelayMs: number;
}

/** What a counter holds. Times are milliseconds since the epoch. */
export interface Failures {
  readonly count: number;
  readonly lastTime: number;
  /** End of the delay; 0 when there is none. */
  readonly blockedUntil: number;
}

/** What became of a counter, or was found in it. */
export interface CounterState {
  /** When a delay ends that had begun before; 0 when there is none, and the outcome was recorded. */
  readonly blockedUntil: number;
  /** Whether its user has signed in from its network. */
  readonly known: boolean;
  /** When the delay ends that this failure has begun; 0 when it has begun none. */
  readonly delayedUntil: number;
}

/**
 * Keeps counters of failures, for all replicas. Each call is one step that no other can come between.
 * Throws ServiceError UNAVAILABLE when it cannot be reached.
 */
export interface LockoutStore {
  read(counter: FailureCounter, now: number): Awaitable<CounterState>;
  /** Counts a failure by `nextFailures`, unless the counter is blocked. */
  fail(counter: FailureCounter, rule: LockoutRule, now: number): Awaitable<CounterState>;
  /** Forgets the failures of the counter and remembers its network, unless the counter is blocked. */
  succeed(counter: FailureCounter, now: number): Awaitable<CounterState>;
  /** Forgets the failures of all counters of a subject. */
  forget(kind: LockoutKind, subject: string): Awaitable<void>;
}

/** Networks of a user that are remembered; the one longest unused is forgotten for a new one. */
export const maxKnownNetworks = 20;
/** How long a network is remembered after the last sign-in from it. */
export const knownNetworkMs: number = 90 * 86_400_000;

/** The failures after one more. It never counts beyond what the longest delay takes, so that forgiving them has an end. */
export function nextFailures(failures: Failures, rule: LockoutRule, now: number): Failures {
  const count = Math.min(failures.count - forgiven(failures, rule, now) + 1, mostFailures(rule));
  const doublings = count - rule.failures;
  const delayMs = doublings < 0 ? 0 : Math.min(rule.maxDelayMs, rule.firstDelayMs * 2 ** doublings);
  return { count, lastTime: now, blockedUntil: delayMs === 0 ? 0 : now + delayMs };
}

/** How many failures time has forgiven. A delay does not count: who waits it out has done nothing yet. */
function forgiven({ count, lastTime, blockedUntil }: Failures, { maxDelayMs }: LockoutRule, now: number): number {
  const quietMs = now - Math.max(lastTime, blockedUntil);
  return Math.min(count, Math.max(0, Math.floor(quietMs / maxDelayMs)));
}

/** Failures that bring the longest delay. */
export function mostFailures({ failures, firstDelayMs, maxDelayMs }: LockoutRule): number {
  return failures + Math.max(0, Math.ceil(Math.log2(maxDelayMs / firstDelayMs)));
}

/** Time after the last failure, or the delay it began, in which all are forgiven. */
export function forgettingMs(count: number, { maxDelayMs }: LockoutRule): number {
  return count * maxDelayMs;
}

/** Told of what happens, for metrics. */
export interface LockoutObserver {
  /** An attempt was refused for too many failures. */
  refused(kind: LockoutKind): void;
  /** A failure began a delay. */
  delayed(kind: LockoutKind): void;
}

export interface LockoutOptions {
  readonly store: LockoutStore;
  readonly clock: Clock;
  readonly rules: Readonly<Record<LockoutKind, LockoutRule>>;
  readonly observer: LockoutObserver;
}

/**
 * Slows down guessing. Every call throws ServiceError RESOURCE_EXHAUSTED (reason TOO_MANY_FAILURES) with the time to wait
 * while there were too many failures, whether or not there is such a user.
 *
 * An attempt is judged twice: before the work, to spare it, and by `failed` or `succeeded` when its outcome is known and
 * recorded. The second is one step in the store, and only then the outcome may be told: however many guesses run at once,
 * on however many replicas, no more of them are answered than the rules allow.
 */
export interface Lockout {
  /** Refuses an attempt that must wait. */
  check(kind: Exclude<LockoutKind, "network">, attempt: SignInAttempt): Awaitable<void>;
  /** Records a wrong password or code. */
  failed(kind: Exclude<LockoutKind, "network">, attempt: SignInAttempt): Awaitable<void>;
  /** Records that all that was presented was right: its counters are forgotten, but not that of the network. */
  succeeded(kinds: readonly Exclude<LockoutKind, "network">[], attempt: SignInAttempt): Awaitable<void>;
  /** Forgets all failures of a user, for an administrator. Refuses nothing. */
  forgive(name: string): Awaitable<void>;
}

export function createLockout({ store, clock, rules, observer }: LockoutOptions): Lockout {
  /** Refuses by a counter's state; otherwise answers it. */
  function judge(kind: LockoutKind, state: CounterState, now: number): CounterState {
    if (state.delayedUntil > 0) observer.delayed(kind);
    if (state.blockedUntil <= now) return state;
    observer.refused(kind);
    throw signInLocked(state.blockedUntil - now);
  }

  /** Whoever has signed in from a network before is not held up by the failures of others there. */
  function onNetwork(
    { network }: SignInAttempt,
    { known }: CounterState,
    step: (counter: FailureCounter) => Awaitable<CounterState>,
    now: number,
  ): Awaitable<void> {
    if (known || network === undefined) return undefined;
    return chain(step({ kind: "network", subject: subjectOf(network) }), (state) => void judge("network", state, now));
  }

  const check: Lockout["check"] = (kind, attempt) => {
    const now = clock();
    return chain(store.read(counterOf(kind, attempt), now), (state) =>
      onNetwork(attempt, judge(kind, state, now), (counter) => store.read(counter, now), now),
    );
  };

  return {
    check,
    failed(kind, attempt) {
      const now = clock();
      return chain(store.fail(counterOf(kind, attempt), rules[kind], now), (state) =>
        onNetwork(attempt, judge(kind, state, now), (counter) => store.fail(counter, rules.network, now), now),
      );
    },
    async succeeded(kinds, attempt) {
      for (const kind of kinds) await check(kind, attempt);
      const now = clock();
      for (const kind of kinds) judge(kind, await store.succeed(counterOf(kind, attempt), now), now);
    },
    forgive(name) {
      const subject = subjectOf(name);
      return chain(store.forget("password", subject), () => store.forget("second-factor", subject));
    },
  };
}

function counterOf(kind: LockoutKind, { name, network }: SignInAttempt): FailureCounter {
  return { kind, subject: subjectOf(name), ...(network === undefined ? {} : { network }) };
}

function subjectOf(text: string): string {
  return hash("sha256", text, "base64url");
}
