import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { DeadLetter } from "../../shared/bus/dead-letters.ts";
import { origin, type Position } from "../../shared/bus/position.ts";
import type { Topic } from "../../shared/bus/topic.ts";
import { plain } from "../audit-output.ts";
import { type Command, CommandError, type CommandInput } from "../command.ts";
import { type OpenBus, storeDetails, storeOptions, topicNamed, withBuses } from "../open-buses.ts";
import { jsonOption } from "../service-client.ts";
import { table } from "../table.ts";

const pageSize = 1_000;
const idDetails = "ID is one of `bus dead-letters list`, or `all`.";

/** Lists what consumer groups have given up on. */
export const deadLettersList: Command = {
  name: "bus dead-letters list",
  summary: "List messages that a consumer group has given up on, the oldest first.",
  details: `${storeDetails}\n\nShows the first thousand. What is in the messages is not shown.`,
  arguments: ["TOPIC"],
  options: { ...storeOptions, ...jsonOption },
  async run(input) {
    const [name] = input.positionals as [string];
    const topic = topicNamed(name);
    const found = await withBuses(input, async (buses) => {
      const lists = buses.map(async ({ store, bus }) =>
        (await bus.deadLetters.list(topic, { limit: pageSize })).map((letter) => toJson(store, letter)),
      );
      return (await Promise.all(lists)).flat();
    });
    if (input.values.json) input.out(JSON.stringify({ deadLetters: found }));
    else if (found.length === 0) input.out("There are none.");
    else {
      const rows = found.map(({ store, id, group, deadTime, deliveries, operation, error }) => {
        return [store, id, group, deadTime, String(deliveries), plain(operation), plain(error)];
      });
      input.out(table(["STORE", "ID", "GROUP", "GIVEN UP", "DELIVERIES", "OPERATION", "ERROR"], rows));
    }
    return 0;
  },
};

/** Publishes dead letters again. */
export const deadLettersReplay: Command = settling({
  name: "bus dead-letters replay",
  summary: "Hand dead letters to their consumer group again.",
  done: "replayed",
  settle: async ({ bus }, topic, id) => (await bus.deadLetters.replay(topic, id)) !== undefined,
});

/** Deletes dead letters. */
export const deadLettersDiscard: Command = settling({
  name: "bus dead-letters discard",
  summary: "Delete dead letters.",
  done: "discarded",
  settle: async ({ bus }, topic, id) => await bus.deadLetters.discard(topic, id),
});

interface Settling {
  readonly name: string;
  readonly summary: string;
  readonly done: string;
  /** False when there is no such dead letter. */
  readonly settle: (bus: OpenBus, topic: Topic, id: Position) => Promise<boolean>;
}

function settling({ name, summary, done, settle }: Settling): Command {
  return {
    name,
    summary,
    details: `${storeDetails}\n\n${idDetails}`,
    arguments: ["TOPIC", "ID"],
    options: { ...storeOptions, ...jsonOption },
    async run(input) {
      const [topicName, id] = input.positionals as [string, string];
      const topic = topicNamed(topicName);
      const ids = await withBuses(input, async (buses) => {
        if (id === "all") return (await Promise.all(buses.map((bus) => settleAll(bus, topic, settle)))).flat();
        return (await settle(onlyOf(buses), topic, id)) ? [id] : [];
      });
      if (ids.length === 0 && id !== "all") throw new CommandError(`${topicName} has no dead letter ${id}.`);
      report(input, done, ids);
      return 0;
    },
  };
}

/** Those that are there when it begins; one that fails again does not come round again. */
async function settleAll(open: OpenBus, topic: Topic, settle: Settling["settle"]): Promise<Position[]> {
  const ids: Position[] = [];
  for (let after = origin; ; ) {
    const page = await open.bus.deadLetters.list(topic, { after, limit: pageSize });
    ids.push(...page.map((letter) => letter.id));
    const last = page.at(-1);
    if (last === undefined || page.length < pageSize) break;
    after = last.id;
  }
  const settled: Position[] = [];
  for (const id of ids) if (await settle(open, topic, id)) settled.push(id);
  return settled;
}

/** An identifier is of one store. */
function onlyOf(buses: readonly OpenBus[]): OpenBus {
  const [bus, other] = buses;
  if (bus === undefined || other !== undefined) {
    throw new CommandError("There are two embedded stores here: say which with --service auth or --service policy.");
  }
  return bus;
}

function report({ values, out }: CommandInput, done: string, ids: readonly Position[]): void {
  if (values.json) out(JSON.stringify({ [done]: ids }));
  else out(`${ids.length} ${done}`);
}

function toJson(store: string, { id, group, position, deliveries, deadAt, error, envelope }: DeadLetter) {
  const timestamp = envelope?.timestamp;
  return {
    store,
    id,
    group,
    position,
    deliveries,
    deadTime: new Date(deadAt).toISOString(),
    error,
    messageId: envelope?.id ?? "",
    service: envelope?.service ?? "",
    operation: envelope?.operation ?? "",
    publishTime: timestamp === undefined ? "" : timestampDate(timestamp).toISOString(),
  };
}
