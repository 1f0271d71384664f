const wellFormed = /^(\d{1,8})([HMSmun])$/;
const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** Milliseconds of a `grpc-timeout` header (gRPC over HTTP2, Requests); `undefined` of none or of one that is malformed. */
export function timeoutMs(header: string | string[] | undefined): number | undefined {
  const match = typeof header === "string" ? wellFormed.exec(header) : null;
  return match === null ? undefined : Number(match[1]) * unitMs[match[2]!]!;
}
