import * as v from "valibot";

/** An object of these fields of a file and no others, whose faults are told to whoever wrote it. */
export function fields<const E extends v.ObjectEntries>(
  entries: E,
): v.StrictObjectSchema<E, (issue: v.StrictObjectIssue) => string> {
  return v.strictObject(entries, ({ expected, received }) => {
    if (expected === "never") return "is not known here";
    return received === "undefined" ? "is required" : "must be a group of fields";
  });
}
