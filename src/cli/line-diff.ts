/** Lines compared beyond this many, before and after together, are not aligned but all removed and all added. */
const MAX_LINES = 2_000;

/** Compares texts line by line: `- ` before a line that went, `+ ` before one that came, two spaces before one that stayed. */
export function diffLines(before: string, after: string): string[] {
  const old = before.split("\n");
  const now = after.split("\n");
  if (old.length + now.length > MAX_LINES)
    return [...old.map((line) => `- ${line}`), ...now.map((line) => `+ ${line}`)];
  // common[i][j]: how many lines the rests from i and from j have in common, in order.
  const common = Array.from({ length: old.length + 1 }, () => new Uint16Array(now.length + 1));
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      const skipped = Math.max(common[i + 1]![j]!, common[i]![j + 1]!);
      common[i]![j] = old[i] === now[j] ? common[i + 1]![j + 1]! + 1 : skipped;
    }
  }
  const lines: string[] = [];
  let i = 0;
  let j = 0;
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) {
      lines.push(`  ${old[i++]}`);
      j++;
    } else if (j >= now.length || (i < old.length && common[i + 1]![j]! >= common[i]![j + 1]!)) {
      lines.push(`- ${old[i++]}`);
    } else {
      lines.push(`+ ${now[j++]}`);
    }
  }
  return lines;
}
