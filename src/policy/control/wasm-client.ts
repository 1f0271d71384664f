import { Worker } from "node:worker_threads";
import type * as cedar from "@cedar-policy/cedar-wasm/nodejs";

/** The functions of the official implementation that may be called. */
export type WasmFunction = {
  [Name in keyof typeof cedar]: (typeof cedar)[Name] extends (...parameters: never[]) => unknown ? Name : never;
}[keyof typeof cedar];

type Parameters<Name extends WasmFunction> = (typeof cedar)[Name] extends (...parameters: infer P) => unknown
  ? P
  : never;
type Result<Name extends WasmFunction> = (typeof cedar)[Name] extends (...parameters: never[]) => infer R ? R : never;

/** What crosses to the worker: one function, called once for each list of arguments. */
export type WasmCall = { readonly name: WasmFunction; readonly argumentLists: readonly (readonly unknown[])[] };
/** What comes back: the results as JSON text, or why there are none. */
export type WasmReply = { readonly results: string } | { readonly thrown: string };

/** The official implementation gave no answer: it ran out of time or of stack. */
export class CedarWasmError extends Error {
  readonly reason: "timeout" | "thrown" | "closed";

  constructor(reason: "timeout" | "thrown" | "closed", message: string) {
    super(message);
    this.name = "CedarWasmError";
    this.reason = reason;
  }
}

/** The official implementation behind a thread. */
export type WasmClient = {
  /**
   * Calls one function for each list of arguments; answers in their order.
   *
   * @throws CedarWasmError when it throws or takes longer than the timeout. Either ends the thread, for a call that
   *   throws leaks its stack, and the next call starts a fresh one.
   */
  call<Name extends WasmFunction>(name: Name, argumentLists: readonly Parameters<Name>[]): Promise<Result<Name>[]>;
  /** Ends the thread; calls that wait are refused. */
  close(): Promise<void>;
};

/** How long a thread waits for another call before it ends and gives its memory back, in milliseconds. */
const idleMs = 5_000;

/**
 * Creates a client that runs one call at a time in a thread of its own, started at the first call and ended when idle.
 *
 * @param options.timeoutMs how long one call may take, its thread's start (about 50 ms) not counted
 */
export function createWasmClient({ timeoutMs }: { timeoutMs: number }): WasmClient {
  let worker: Promise<Worker> | undefined;
  let tail: Promise<unknown> = Promise.resolve();
  let closed = false;
  let idle: NodeJS.Timeout | undefined;

  async function discard(): Promise<void> {
    const ending = worker;
    worker = undefined;
    await (await ending?.catch(() => undefined))?.terminate();
  }

  /** In its turn, so that no call finds the thread ending. */
  function rest(): void {
    tail = tail.then(discard);
  }

  async function exchange(message: WasmCall): Promise<readonly unknown[]> {
    if (closed) throw new CedarWasmError("closed", "the Cedar control plane is closed");
    clearTimeout(idle);
    worker ??= startWorker(() => {
      worker = undefined;
    });
    try {
      return await callOnce(await worker, message, timeoutMs);
    } catch (error) {
      await discard();
      throw error;
    } finally {
      idle = setTimeout(rest, idleMs).unref();
    }
  }

  return {
    call<Name extends WasmFunction>(name: Name, argumentLists: readonly Parameters<Name>[]): Promise<Result<Name>[]> {
      const answer = tail.then(() => exchange({ name, argumentLists }));
      tail = answer.catch(() => undefined);
      return answer as Promise<Result<Name>[]>;
    },
    async close(): Promise<void> {
      closed = true;
      clearTimeout(idle);
      await discard();
    },
  };
}

/** Megabytes a thread's own heap may take; the wasm memory is apart. */
const HEAP_MB = 512;

async function startWorker(onExit: () => void): Promise<Worker> {
  const worker = new Worker(new URL("./wasm-worker.ts", import.meta.url), {
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  });
  const { promise, resolve, reject } = Promise.withResolvers<Worker>();
  worker.once("online", () => resolve(worker));
  worker.once("error", reject);
  await promise;
  worker.off("error", reject);
  worker.on("error", () => {}); // the exit that follows is what a call hears of
  worker.once("exit", onExit);
  return worker;
}

function callOnce(worker: Worker, message: WasmCall, timeoutMs: number): Promise<readonly unknown[]> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly unknown[]>();
  const onMessage = (reply: WasmReply): void => {
    if ("results" in reply) resolve(JSON.parse(reply.results));
    else reject(new CedarWasmError("thrown", `the official implementation gave up: ${reply.thrown}`));
  };
  const onExit = (): void => reject(new CedarWasmError("thrown", "the official implementation's thread ended"));
  const timer = setTimeout(() => {
    reject(new CedarWasmError("timeout", `no answer from the official implementation within ${timeoutMs} ms`));
  }, timeoutMs);
  worker.ref();
  worker.once("message", onMessage);
  worker.once("exit", onExit);
  worker.postMessage(message);
  return promise.finally(() => {
    clearTimeout(timer);
    worker.off("message", onMessage);
    worker.off("exit", onExit);
    worker.unref(); // an idle thread keeps no process alive
  });
}
