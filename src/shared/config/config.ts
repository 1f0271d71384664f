import * as v from "valibot";

/** One configuration variable of a service: where it comes from, what it may be, and what it is for. */
export interface ConfigField<T> {
  /** Name of the environment variable. */
  readonly env: string;
  /** What it is for, in a sentence or two, for docs/configuration.md. */
  readonly doc: string;
  /** Parses the variable's text. */
  readonly schema: v.GenericSchema<string, T>;
  /** Used when the variable is unset or empty; a field without one is required. */
  readonly fallback?: string;
  /** Whether the value is a secret, never to be shown. */
  readonly sensitive?: boolean;
}

/** The fields that make up a configuration of type `C`. */
export type ConfigFields<C> = { readonly [K in keyof C]: ConfigField<C[K]> };

/** All that is wrong with the configuration, one line a variable. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The configuration is not valid:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
    this.problems = problems;
  }
}

/**
 * Reads fields from an environment.
 *
 * @throws ConfigError naming every missing or malformed variable at once; secrets are not repeated in it.
 */
export function readConfig<C>(fields: ConfigFields<C>, env: Readonly<Record<string, string | undefined>>): C {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [key, definition] of Object.entries<ConfigField<unknown>>(fields)) {
    const text = env[definition.env] || definition.fallback;
    if (text === undefined) {
      problems.push(`${definition.env} is required: ${definition.doc}`);
      continue;
    }
    const result = v.safeParse(definition.schema, text);
    if (result.success) values[key] = result.output;
    else {
      const shown = definition.sensitive === true ? "" : ` (is ${JSON.stringify(text)})`;
      problems.push(`${definition.env} ${result.issues.map((issue) => issue.message).join("; ")}${shown}`);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return values as C;
}
