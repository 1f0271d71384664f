import type { TemplateSegment } from "./path-template.ts";

/** Where and by which methods a rule applies. */
export interface RulePlace {
  /** SPIFFE ids of the workloads that it is for; none: all that have no rules of their own. */
  readonly destinations: readonly string[];
  /** Host names, or `*.example.com` for all below one; none: every host. */
  readonly hosts: readonly string[];
  readonly path: readonly TemplateSegment[];
  /** Upper case; none: every method. */
  readonly methods: readonly string[];
}

/** A rule that would match the requests of one before it. */
export interface RuleConflict {
  /** Of the later rule in the list. */
  readonly position: number;
  readonly message: string;
}

/** All rules that would match the requests of others. */
export class RuleConflictError extends Error {
  override readonly name = "RuleConflictError";
  readonly conflicts: readonly RuleConflict[];

  constructor(conflicts: readonly RuleConflict[]) {
    super("Rules match the same requests.");
    this.conflicts = conflicts;
  }
}

/** Finds the rule of a request. */
export interface RuleIndex<T> {
  /**
   * @param host In normal form.
   * @returns undefined when no rule covers the request.
   */
  find(destination: string, host: string, segments: readonly string[], method: string): T | undefined;
}

interface Leaf<T> {
  readonly byMethod: Map<string, T>;
  any: T | undefined;
}

interface Node<T> {
  readonly literals: Map<string, Node<T>>;
  variable: Node<T> | undefined;
  rest: Leaf<T> | undefined;
  leaf: Leaf<T> | undefined;
}

interface Hosts<T> {
  readonly exact: Map<string, Node<T>>;
  /** By suffix with its leading dot, longest first. */
  readonly below: { readonly suffix: string; readonly root: Node<T> }[];
  every: Node<T> | undefined;
}

/**
 * Compiles rules so that finding one takes a step a segment, however many there are.
 *
 * The most specific rule is found, whatever their order: rules of the destination, or else those of none; then of the
 * exact host, of the longest `*.` suffix, of every host: the first of these where a path matches. Of the paths, segment by
 * segment, a literal wins over a variable over `**`. That path decides: when it has no rule for the method, there is none,
 * and a wider rule does not step in.
 *
 * @throws RuleConflictError when rules have the same place.
 */
export function createRuleIndex<T>(
  rules: readonly { readonly place: RulePlace; readonly rule: T }[],
  ignoreCase: boolean,
): RuleIndex<T> {
  const fold = (text: string): string => (ignoreCase ? text.toLowerCase() : text);
  const byDestination = new Map<string, Hosts<T>>();
  const conflicts: RuleConflict[] = [];
  for (const [position, { place, rule }] of rules.entries()) {
    let message: string | undefined;
    for (const destination of place.destinations.length === 0 ? [""] : place.destinations) {
      const hosts = getOrMake(byDestination, destination, () => ({ exact: new Map(), below: [], every: undefined }));
      for (const root of rootsOf(hosts, place.hosts)) {
        message = insert(leafOf(root, place.path, fold), place.methods, rule) ?? message;
      }
    }
    if (message !== undefined) conflicts.push({ position, message });
  }
  if (conflicts.length > 0) throw new RuleConflictError(conflicts);
  for (const hosts of byDestination.values()) hosts.below.sort((a, b) => b.suffix.length - a.suffix.length);

  return {
    find(destination, host, segments, method) {
      const hosts = byDestination.get(destination) ?? byDestination.get("");
      if (hosts === undefined) return undefined;
      for (const root of candidates(hosts, host)) {
        const leaf = match(root, segments, 0, fold);
        if (leaf !== undefined) return leaf.byMethod.get(method) ?? leaf.any;
      }
      return undefined;
    },
  };
}

function* candidates<T>(hosts: Hosts<T>, host: string): Generator<Node<T>> {
  const exact = hosts.exact.get(host);
  if (exact !== undefined) yield exact;
  for (const { suffix, root } of hosts.below) if (host.endsWith(suffix)) yield root;
  if (hosts.every !== undefined) yield hosts.every;
}

/** Each node is visited at most once: it stands at one depth. */
function match<T>(
  node: Node<T>,
  segments: readonly string[],
  depth: number,
  fold: (text: string) => string,
): Leaf<T> | undefined {
  const segment = segments[depth];
  if (segment === undefined) return node.leaf;
  const literal = node.literals.get(fold(segment));
  const found = literal && match(literal, segments, depth + 1, fold);
  if (found !== undefined) return found;
  if (segment === "") return undefined;
  return (node.variable && match(node.variable, segments, depth + 1, fold)) ?? node.rest;
}

function rootsOf<T>(hosts: Hosts<T>, names: readonly string[]): Node<T>[] {
  if (names.length === 0) {
    hosts.every ??= newNode();
    return [hosts.every];
  }
  return names.map((name) => {
    if (!name.startsWith("*.")) return getOrMake(hosts.exact, name, newNode<T>);
    const suffix = name.slice(1);
    let entry = hosts.below.find((each) => each.suffix === suffix);
    if (entry === undefined) {
      entry = { suffix, root: newNode() };
      hosts.below.push(entry);
    }
    return entry.root;
  });
}

function leafOf<T>(root: Node<T>, path: readonly TemplateSegment[], fold: (text: string) => string): Leaf<T> {
  let node = root;
  for (const segment of path) {
    if (segment.kind === "rest") {
      node.rest ??= newLeaf();
      return node.rest;
    }
    if (segment.kind === "literal") {
      node = getOrMake(node.literals, fold(segment.text), newNode<T>);
    } else {
      node.variable ??= newNode();
      node = node.variable;
    }
  }
  node.leaf ??= newLeaf();
  return node.leaf;
}

/** Answers what stands in the way. */
function insert<T>(leaf: Leaf<T>, methods: readonly string[], rule: T): string | undefined {
  let conflict: string | undefined;
  if (methods.length === 0) {
    if (leaf.any !== undefined) conflict = "matches the same requests as a rule before it";
    leaf.any ??= rule;
  }
  for (const method of methods) {
    if (leaf.byMethod.has(method)) conflict = `matches the same ${method} requests as a rule before it`;
    else leaf.byMethod.set(method, rule);
  }
  return conflict;
}

function newNode<T>(): Node<T> {
  return { literals: new Map(), variable: undefined, rest: undefined, leaf: undefined };
}

function newLeaf<T>(): Leaf<T> {
  return { byMethod: new Map(), any: undefined };
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
