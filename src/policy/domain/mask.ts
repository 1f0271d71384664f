import { isSecretName } from "../../shared/logger/redact-secrets.ts";
import type { CedarJson, CedarJsonObject } from "../cedar/types.ts";

/** What stands where something was masked. */
export const masked = "[masked]";

/** Parts of a request that may be masked, and what is. */
export interface Mask {
  /** A copy in which what is to be masked is; adds the paths of that to `found`. */
  context(context: CedarJsonObject, found: Set<string>): CedarJsonObject;
  /** The same for the attributes or tags of an entity. */
  attributes(attributes: CedarJsonObject, found: Set<string>): CedarJsonObject;
}

/** One step of the paths that are to be masked. */
interface Step {
  readonly next: Map<string, Step>;
  end: boolean;
}

const root = /^(context|entities)((?:\.(?:[^.\s,]+))+)$/;

/**
 * Reads paths such as `context.client.ip` or `entities.email`: attributes, and tags, of any entity. `*` is any name; lists
 * are looked into. What is named like a secret is masked wherever it is.
 *
 * @throws TypeError naming the path that is none.
 */
export function createMask(paths: readonly string[]): Mask {
  const steps = { context: step(), entities: step() };
  for (const path of paths) {
    const [, part, names] = root.exec(path) ?? [];
    if (part === undefined || names === undefined) throw new TypeError(`${path} is no path to mask`);
    let at: Step = steps[part as keyof typeof steps];
    for (const name of names.slice(1).split(".")) {
      const next: Step = at.next.get(name) ?? step();
      at.next.set(name, next);
      at = next;
    }
    at.end = true;
  }
  const apply = (part: keyof typeof steps) => (value: CedarJsonObject, found: Set<string>) =>
    walk(value, [steps[part]], part, found) as CedarJsonObject;
  return { context: apply("context"), attributes: apply("entities") };
}

function step(): Step {
  return { next: new Map(), end: false };
}

function walk(value: CedarJson, at: readonly Step[], path: string, found: Set<string>): CedarJson {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item: CedarJson) => walk(item, at, path, found));
  const entries = Object.entries(value as CedarJsonObject).map(([name, inner]): [string, CedarJson] => {
    const next = at.flatMap((each) => [each.next.get(name) ?? [], each.next.get("*") ?? []].flat());
    const here = `${path}.${name}`;
    if (!next.some(({ end }) => end) && !isSecretName(name)) return [name, walk(inner, next, here, found)];
    found.add(here);
    return [name, masked];
  });
  return Object.fromEntries(entries);
}
