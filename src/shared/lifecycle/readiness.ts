/** One thing that has to hold before a service may take traffic. */
export interface ReadinessCheck {
  /** Reports whether it holds; `detail` says why, for people, and never holds a secret. */
  set(ready: boolean, detail?: string): void;
}

export interface ReadinessReport {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, { readonly ready: boolean; readonly detail?: string }>>;
}

/** Whether a service may take traffic: when every check holds and it is not draining. */
export interface Readiness {
  /** Adds a check, which does not hold until it is told to. */
  add(name: string, detail?: string): ReadinessCheck;
  readonly ready: boolean;
  report(): ReadinessReport;
  /** Calls back on each change of `ready`; answers how to stop. */
  onChange(listener: (ready: boolean) => void): () => void;
  /** Ends readiness for good. */
  drain(): void;
}

export function createReadiness(): Readiness {
  const checks = new Map<string, { ready: boolean; detail?: string }>();
  const listeners = new Set<(ready: boolean) => void>();
  let draining = false;
  let ready = true;

  function update(): void {
    const now = !draining && [...checks.values()].every((check) => check.ready);
    if (now === ready) return;
    ready = now;
    for (const listener of [...listeners]) listener(ready);
  }

  return {
    add(name, detail) {
      const set = (isReady: boolean, why?: string): void => {
        checks.set(name, { ready: isReady, ...(why === undefined ? {} : { detail: why }) });
        update();
      };
      set(false, detail ?? "starting");
      return { set };
    },
    get ready() {
      return ready;
    },
    report: () => ({
      ready,
      checks: Object.fromEntries(draining ? [...checks, ["drain", { ready: false, detail: "draining" }]] : checks),
    }),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    drain() {
      draining = true;
      update();
    },
  };
}
