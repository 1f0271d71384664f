import { topics } from "../../shared/bus/topics.ts";
import type { Command } from "../command.ts";
import { storeDetails, storeOptions, withBuses } from "../open-buses.ts";
import { jsonOption } from "../service-client.ts";
import { table } from "../table.ts";

/** Shows how the bus fares. */
export const busStatus: Command = {
  name: "bus status",
  summary: "Show the topics of the bus: messages kept, consumer groups, dead letters.",
  details: `${storeDetails}\n\nLAG is what a group has yet to be given, PENDING what it was given and has not acknowledged.`,
  arguments: [],
  options: { ...storeOptions, ...jsonOption },
  async run(input) {
    const found = await withBuses(input, async (buses) => {
      const all = buses.flatMap(({ store, bus }) => [...topics.values()].map((topic) => ({ store, bus, topic })));
      return await Promise.all(
        all.map(async ({ store, bus, topic }) => ({ store, topic: topic.name, ...(await bus.status(topic)) })),
      );
    });
    if (input.values.json) {
      const json = found.map(({ groups, ...topic }) => ({
        ...topic,
        groups: groups.map(({ name, lag = null, pending }) => ({ name, lag, pending })),
      }));
      input.out(JSON.stringify({ topics: json }));
      return 0;
    }
    const rows = found.flatMap(({ store, topic, length, last, deadLetters, groups }) => {
      const head = [store, topic, String(length), last, String(deadLetters)];
      if (groups.length === 0) return [[...head, "-", "-", "-"]];
      return groups.map(({ name, lag, pending }) => [
        ...head,
        name,
        lag === undefined ? "?" : String(lag),
        String(pending),
      ]);
    });
    input.out(table(["STORE", "TOPIC", "MESSAGES", "LAST", "DEAD LETTERS", "GROUP", "LAG", "PENDING"], rows));
    return 0;
  },
};
