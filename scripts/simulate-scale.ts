/**
 * Simulates 1,000 replicas: how long a revocation takes to reach all of them, and how evenly, and how stably, users are spread
 * over them. `node scripts/simulate-scale.ts`. The same each time; docs/scale.md quotes it, and a test holds the two equal.
 */
import { type Assignment, loadOf, maglev, movedShare, ringHash } from "./scale/balance.ts";
import { simulateFanOut } from "./scale/fan-out.ts";

const replicas = 1_000;
const users = 200_000;
/** Measured: `npm run bench -- store`. */
const redisCost = { readMicros: 22, messageMicros: 2 };

const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function fanOutTable(): string[] {
  const rows = [1, 10, 30, 100].map((rate) => {
    const { p50, p99, slowest, busy, batch } = simulateFanOut({
      replicas,
      rate,
      seconds: 3,
      networkMs: 0.5,
      ...redisCost,
    });
    return line([`${rate}`, p50.toFixed(1), p99.toFixed(1), slowest.toFixed(1), percent(busy), batch.toFixed(1)]);
  });
  return [
    line(["revocations/s", "p50 ms", "p99 ms", "last replica ms", "Redis busy", "messages a read"]),
    "|---|---|---|---|---|---|",
    ...rows,
  ];
}

function balanceTable(): string[] {
  const before = Array.from({ length: replicas }, (_, index) => index);
  const without = before.slice(1);
  const rolled = before.map((index) => (index < replicas / 10 ? index + replicas : index));
  const methods: readonly [string, (among: readonly number[]) => Assignment][] = [
    ...[1_024, 16_384, 131_072, 1_048_576].map((size): [string, (among: readonly number[]) => Assignment] => [
      `ring of ${size.toLocaleString("en")}`,
      (among) => ringHash(among, size, users),
    ]),
    ["Maglev, 65,537", (among) => maglev(among, users)],
  ];
  const rows = methods.map(([name, assign]) => {
    const assigned = assign(before);
    const { max, p99 } = loadOf(assigned, before);
    const moved = [without, rolled].map((among) => percent(movedShare(assigned, assign(among))));
    return line([name, max.toFixed(2), p99.toFixed(2), ...moved]);
  });
  return [line(["", "busiest", "p99", "moved: one leaves", "moved: 100 replaced"]), "|---|---|---|---|---|", ...rows];
}

process.stdout.write(`${[...fanOutTable(), "", ...balanceTable()].join("\n")}\n`);
