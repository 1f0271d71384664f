import type { Attributes, Json, Principal } from "../domain/principal.ts";
import { normalHost } from "./host.ts";
import { queryOf } from "./path.ts";
import type { CheckedRequest } from "./request.ts";
import type { RequestPart, Source } from "./value-template.ts";

/** The values that templates take from one request and its principal. */
export class RequestValues {
  /** Whether a value was asked for that can be read in more than one way: a query parameter that is there twice, or is no UTF-8. */
  ambiguous = false;
  private readonly request: CheckedRequest;
  private readonly principal: Principal;
  private readonly variables: ReadonlyMap<string, string>;
  private readonly segments: readonly string[];
  private parameters: URLSearchParams | undefined = undefined;

  constructor(
    request: CheckedRequest,
    principal: Principal,
    variables: ReadonlyMap<string, string>,
    segments: readonly string[],
  ) {
    this.request = request;
    this.principal = principal;
    this.variables = variables;
    this.segments = segments;
  }

  lookup = (source: Source): Json | undefined => {
    switch (source.kind) {
      case "path":
        return this.variables.get(source.name);
      case "header":
        return this.request.header(source.name);
      case "query":
        return this.query(source.name);
      case "claim":
        return claimOf(this.principal.attributes, source.path);
      case "principal":
        return this.principal[source.name];
      case "request":
        return this.part(source.name);
    }
  };

  private query(name: string): string | undefined {
    this.parameters ??= new URLSearchParams(queryOf(this.request.target));
    const [value, ...more] = this.parameters.getAll(name);
    if (more.length > 0 || value?.includes("\ufffd") === true) this.ambiguous = true;
    return value;
  }

  private part(name: RequestPart): string | undefined {
    switch (name) {
      case "method":
        return this.request.method;
      case "path":
        return `/${this.segments.join("/")}`;
      case "host":
        return normalHost(this.request.host);
      case "scheme":
        return this.request.scheme;
      case "address":
        return this.request.sourceAddress;
    }
  }
}

function claimOf(attributes: Attributes, path: readonly string[]): Json | undefined {
  let value: Json | undefined = attributes;
  for (const key of path) {
    if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, key))
      return undefined;
    value = (value as Attributes)[key];
  }
  return value;
}
