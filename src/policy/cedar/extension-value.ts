import type { CedarJson } from "./types.ts";

/** What the values of Cedar's extension types have in common. */
export abstract class ExtensionValue {
  /** The type's name in messages: `decimal`, `ipaddr`, `datetime` or `duration`. */
  abstract readonly typeName: string;

  /** Cedar's `==` on this type; values of different types are unequal. */
  abstract equals(other: ExtensionValue): boolean;

  /** A string equal for equal values and different otherwise; starts with `@`. */
  abstract key(): string;

  /** The `__extn` escape that yields this value, for writing it back as entity JSON. */
  abstract toJson(): CedarJson;
}
