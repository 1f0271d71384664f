import { BlockList, isIP, isIPv4, isIPv6 } from "node:net";

/** Where an attempt comes from. */
export interface ClientOrigin {
  /** Address of the peer, without its port. */
  readonly peerAddress: string;
  /** Value of `x-forwarded-for`, if there was one. */
  readonly forwardedFor?: string;
}

/** Tells addresses of proxies whose word on the client's address is taken. */
export type TrustedProxies = (address: string) => boolean;

/** The list is not of addresses and ranges in CIDR notation. */
export class AddressRangeError extends Error {
  override readonly name = "AddressRangeError";
}

/** More hops than any request takes: what is left of them is not looked at. */
const maxHops = 32;
/** IPv4 in IPv6: mapped (RFC 4291 section 2.5.5.2), and translated (RFC 6052 section 2.1). */
const embeddingPrefixes = ["0:0:0:0:0:ffff", "64:ff9b:0:0:0:0"];

/**
 * Reads addresses and ranges such as `127.0.0.6, 10.0.0.0/8, fd00::/8`; empty for none.
 *
 * @throws AddressRangeError
 */
export function parseTrustedProxies(list: string): TrustedProxies {
  const ranges = new BlockList();
  for (const range of list.split(",").map((part) => part.trim())) {
    if (range === "") continue;
    const [address = "", bits, ...rest] = range.split("/");
    const family = isIPv4(address) ? "ipv4" : "ipv6";
    const width = family === "ipv4" ? 32 : 128;
    const prefix = bits === undefined ? width : Number(bits);
    const wellFormed = isIP(address) !== 0 && rest.length === 0 && /^\d{1,3}$/.test(bits ?? "0");
    if (!wellFormed || prefix > width) throw new AddressRangeError(`${range} is no address or range in CIDR notation`);
    ranges.addSubnet(address, prefix, family);
  }
  return (text) => {
    const address = plainAddress(text);
    return address !== undefined && ranges.check(address, isIPv4(address) ? "ipv4" : "ipv6");
  };
}

/**
 * The network that an attempt comes from: an IPv4 address, or the first 64 bits of an IPv6 one, which are a single
 * subscriber's (RFC 6177), such as `2001:db8:1:2::/64`. Undefined when it is not known.
 *
 * The peer's own address, unless the peer is a trusted proxy: then the last address in `x-forwarded-for` that is not a
 * trusted proxy's. Each proxy appends whom it heard from, so whatever stands before that is the client's own claim. A
 * trusted proxy that does not tell leaves it unknown: its address is everybody's.
 */
export function clientNetwork(
  { peerAddress, forwardedFor }: ClientOrigin,
  trusted: TrustedProxies,
): string | undefined {
  if (!trusted(peerAddress)) return networkOf(peerAddress);
  const hops = (forwardedFor ?? "").split(",").slice(-maxHops).reverse();
  const client = hops.find((hop) => !trusted(withoutPort(hop)));
  return client === undefined ? undefined : networkOf(withoutPort(client));
}

/** `203.0.113.7:4711` and `[2001:db8::1]:4711`, as some proxies write them, without brackets and port. */
function withoutPort(hop: string): string {
  const [, bracketed, dotted] = /^\[([^\]]*)\](?::\d+)?$|^([\d.]+):\d+$/.exec(hop.trim()) ?? [];
  return bracketed ?? dotted ?? hop.trim();
}

function networkOf(text: string): string | undefined {
  const address = plainAddress(text);
  if (address === undefined || isIPv4(address)) return address;
  return `${groupsOf(address).slice(0, 4).join(":")}::/64`;
}

/** An address without its zone, and IPv4 that is wrapped in IPv6 as IPv4; undefined when it is none. */
function plainAddress(text: string): string | undefined {
  const address = text.split("%", 1)[0]!;
  if (isIPv4(address)) return address;
  if (!isIPv6(address)) return undefined;
  const groups = groupsOf(address);
  if (!embeddingPrefixes.includes(groups.slice(0, 6).join(":"))) return address;
  return groups
    .slice(6)
    .map((group) => Number.parseInt(group, 16))
    .flatMap((group) => [group >> 8, group & 0xff])
    .join(".");
}

/** The eight groups of an IPv6 address, in lower case and without leading zeros. */
function groupsOf(address: string): string[] {
  // A URL writes an address in one way (RFC 5952), with a last part of dots in hexadecimal.
  const [head = "", tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const before = head === "" ? [] : head.split(":");
  const behind = tail === undefined || tail === "" ? [] : tail.split(":");
  return [...before, ...Array<string>(8 - before.length - behind.length).fill("0"), ...behind];
}
