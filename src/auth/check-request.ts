import type { AttributeContext_Peer } from "../../gen/envoy/service/auth/v3/attribute_context_pb.ts";
import type { CheckRequest } from "../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import type { CheckedRequest } from "./check/request.ts";

/** The request that Envoy asks about. What it leaves out is empty, and then matches nothing. */
export function checkedRequest({ attributes }: CheckRequest): CheckedRequest {
  const http = attributes?.request?.http;
  const headers = new Map(Object.entries(http?.headers ?? {}));
  // Sent in place of `headers` where the filter has encode_raw_headers; repeated ones are not joined there.
  for (const { key, value, rawValue } of http?.headerMap?.headers ?? []) {
    const text = rawValue.length > 0 ? Buffer.from(rawValue).toString("utf8") : value;
    const before = headers.get(key);
    headers.set(key, before === undefined ? text : `${before},${text}`);
  }
  return {
    method: http?.method ?? "",
    host: http?.host ?? "",
    target: http?.path ?? "",
    scheme: http?.scheme ?? "",
    header: (name) => headers.get(name),
    headerNames: [...headers.keys()],
    sourcePrincipal: attributes?.source?.principal ?? "",
    sourceAddress: addressOf(attributes?.source),
    destinationPrincipal: attributes?.destination?.principal ?? "",
  };
}

function addressOf(peer: AttributeContext_Peer | undefined): string {
  const address = peer?.address?.address;
  return address?.case === "socketAddress" ? address.value.address : "";
}
