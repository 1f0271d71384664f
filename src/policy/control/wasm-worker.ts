/** The thread in which the official implementation runs: one call at a time, each answered or given up with the thread. */

import { parentPort } from "node:worker_threads";
import * as functions from "@cedar-policy/cedar-wasm/nodejs";
import type { WasmCall, WasmReply } from "./wasm-client.ts";

parentPort!.on("message", ({ name, argumentLists }: WasmCall) => {
  parentPort!.postMessage(run(name, argumentLists));
});

function run(name: WasmCall["name"], argumentLists: WasmCall["argumentLists"]): WasmReply {
  try {
    // biome-ignore lint/performance/noDynamicNamespaceImportAccess: nothing is bundled
    const call = functions[name] as (...parameters: readonly unknown[]) => unknown;
    // As text: cloning deep values can fail where this does not, and then without a word.
    return { results: JSON.stringify(argumentLists.map((parameters) => call(...parameters))) };
  } catch (error) {
    return { thrown: error instanceof Error ? error.message : String(error) };
  }
}
