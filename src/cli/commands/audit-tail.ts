import type { JsonObject } from "@bufbuild/protobuf";
import { eventToJson } from "../../shared/audit/event-json.ts";
import type { Follower } from "../../shared/bus/follower.ts";
import { audit } from "../../shared/bus/topics.ts";
import { type AuditFilter, eventText, filterOf, filterOptions } from "../audit-output.ts";
import { type Command, type CommandInput, UsageError } from "../command.ts";
import { storeDetails, storeOptions, withBuses } from "../open-buses.ts";
import { jsonOption } from "../service-client.ts";

/** Shows audit events as they come. */
export const auditTail: Command = {
  name: "audit tail",
  summary: "Show audit events as they are published, until interrupted.",
  details: `${storeDetails}\n\nFilters must all hold. With --json, an event is one JSON object a line, as in the audit file.`,
  arguments: [],
  options: {
    ...filterOptions,
    "from-start": { type: "boolean", description: "Begin with the oldest event that is kept." },
    limit: { type: "string", placeholder: "NUMBER", description: "End after so many events." },
    ...storeOptions,
    ...jsonOption,
  },
  async run(input) {
    const limit = limitOf(input);
    const matches: AuditFilter = filterOf(input.values);
    const ending = new AbortController();
    const end = (): void => ending.abort();
    process.once("SIGINT", end).once("SIGTERM", end);
    let shown = 0;
    const show = (event: JsonObject): void => {
      if (ending.signal.aborted || !matches(event)) return;
      input.out(input.values.json ? JSON.stringify(event) : eventText(event));
      shown += 1;
      if (shown >= limit) end();
    };
    await withBuses(input, async (buses) => {
      const followers: Follower[] = buses.map(({ bus }) =>
        bus.follow(audit, {
          after: input.values["from-start"] ? "start" : "now",
          onMessage: (message) => show(eventToJson(message)),
          onGap: (reason) => input.err(`Some events were missed: ${reason}.`),
          onStale: () => input.err("The store cannot be reached; trying on."),
          signal: ending.signal,
        }),
      );
      await Promise.all(followers.map(({ closed }) => closed));
    });
    return 0;
  },
};

function limitOf({ values }: CommandInput): number {
  if (values.limit === undefined) return Number.POSITIVE_INFINITY;
  if (!/^[1-9]\d{0,8}$/.test(String(values.limit))) throw new UsageError("--limit must be a number from 1");
  return Number(values.limit);
}
