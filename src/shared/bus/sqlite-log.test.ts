import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeBus } from "../../../test/support/bus-contract.ts";

describeBus("bus on SQLite", async () => {
  const dir = mkdtempSync(join(tmpdir(), "gatehouse-bus-"));
  return { store: join(dir, "bus.db"), stop: async () => rmSync(dir, { recursive: true, force: true }) };
});
