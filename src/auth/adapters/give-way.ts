import { readdirSync, readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { constants, setPriority } from "node:os";

const tasks = "/proc/self/task";
/** What libuv calls the threads of its pool. */
const poolThread = "libuv-worker";

/**
 * Lets the threads of libuv's pool, which hash passwords, give way to the event loop; answers how many there are, 0 where the system
 * is not Linux. A password takes 20 ms of a core: with few cores, all else that the service does would wait for its share beside
 * it. Between containers it makes no difference, for the share of each is its cgroup's.
 */
export async function makePoolGiveWay(): Promise<number> {
  try {
    // The pool has no threads until it is first used, and then has all.
    await stat(tasks);
    const ids = readdirSync(tasks).filter((id) => readFileSync(`${tasks}/${id}/comm`, "utf8").trim() === poolThread);
    for (const id of ids) setPriority(Number(id), constants.priority.PRIORITY_BELOW_NORMAL);
    return ids.length;
  } catch {
    return 0;
  }
}
