import fc, { type Arbitrary } from "fast-check";

/** Texts of all kinds, up to so many characters: ASCII, any code units, and none. */
export function texts(maxLength: number): Arbitrary<string> {
  return fc.oneof(fc.string({ maxLength }), fc.string({ unit: "binary", maxLength: 60 }), fc.constant(""));
}

/** Uids of such texts. */
export function uids(text: Arbitrary<string>): Arbitrary<{ type: string; id: string }> {
  return fc.record({ type: text, id: text });
}

/** What a codec makes of its input, or that it refuses it. */
export function outcome(run: () => unknown): unknown {
  try {
    return run();
  } catch {
    return "refused";
  }
}

/** A message's own fields: protobuf-es has defaults in prototypes, and ours have notes under symbols. */
export function plain(message: unknown): unknown {
  return JSON.parse(JSON.stringify(message));
}
