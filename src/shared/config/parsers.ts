import * as v from "valibot";

/** A whole number within bounds. */
export function integer(min: number, max: number): v.GenericSchema<string, number> {
  const message = `must be a whole number from ${min} to ${max}`;
  return v.pipe(
    v.string(),
    v.regex(/^-?\d{1,15}$/, message),
    v.transform(Number),
    v.minValue(min, message),
    v.maxValue(max, message),
  );
}

/** A TCP port; 0 lets the system choose one. */
export const port: v.GenericSchema<string, number> = integer(0, 65_535);

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A length of time such as `250ms`, `30s`, `15m`, `12h` or `7d`, in milliseconds. */
export function duration(minMs = 0, maxMs: number = 3_650 * 86_400_000): v.GenericSchema<string, number> {
  return v.pipe(
    v.string(),
    v.regex(/^\d{1,9}(ms|s|m|h|d)$/, "must be a duration such as 250ms, 30s, 15m, 12h or 7d"),
    v.transform((text) => {
      const digits = /^\d+/.exec(text)?.[0] ?? "0";
      return Number(digits) * (durationUnits[text.slice(digits.length)] ?? Number.NaN);
    }),
    v.check((ms) => ms >= minMs && ms <= maxMs, `must be from ${minMs}ms to ${maxMs}ms`),
  );
}

/** `true` or `false`. */
export const boolean: v.GenericSchema<string, boolean> = v.pipe(
  v.picklist(["true", "false"], "must be true or false"),
  v.transform((text) => text === "true"),
);

/** One of a few words. */
export function oneOf<const T extends readonly string[]>(...words: T): v.GenericSchema<string, T[number]> {
  return v.picklist(words, `must be one of ${words.join(", ")}`) as unknown as v.GenericSchema<string, T[number]>;
}

/** Any text, `""` when unset with an empty fallback. */
export const text: v.GenericSchema<string, string> = v.string();

/** A host name or address to listen on or connect to. */
export const host: v.GenericSchema<string, string> = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9_.:[\]-]{1,255}$/, "must be a host name or address"),
);
