/** First index of HPACK's dynamic table (RFC 7541 section 2.3.3). */
const firstDynamic = 62;

/**
 * Encodes the headers of a request (RFC 7541), to be sent many times on a connection: at `first` they enter the peer's dynamic
 * table, and `again` is one index for each. Headers and values are to be shorter than 127 bytes, 40 at most.
 */
export function requestBlock(headers: readonly (readonly [string, string])[]): { first: Buffer; again: Buffer } {
  const first = headers.flatMap(([name, value]) => [0x40, ...literal(name), ...literal(value)]);
  const again = headers.map((_, index) => 0x80 | (firstDynamic + headers.length - 1 - index));
  return { first: Buffer.from(first), again: Buffer.from(again) };
}

/** A string without Huffman coding. */
function literal(text: string): number[] {
  const bytes = Buffer.from(text);
  if (bytes.length >= 127) throw new Error(`too long for a header of the load generator: ${text}`);
  return [bytes.length, ...bytes];
}
