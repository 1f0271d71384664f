import type { CheckedRequest } from "../request.ts";

export type RequestFields = Partial<Omit<CheckedRequest, "header" | "headerNames">> & {
  readonly headers?: Readonly<Record<string, string>>;
};

/** A GET of `/` from nobody, but for what is given. */
export function requestOf({ headers = {}, ...fields }: RequestFields = {}): CheckedRequest {
  const map = new Map(Object.entries(headers));
  return {
    method: "GET",
    host: "docs.example.com",
    target: "/",
    scheme: "http",
    sourcePrincipal: "",
    sourceAddress: "10.0.0.7",
    destinationPrincipal: "",
    header: (name) => map.get(name),
    headerNames: [...map.keys()],
    ...fields,
  };
}
