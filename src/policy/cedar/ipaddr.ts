import { EvaluationFailure } from "./errors.ts";
import { ExtensionValue } from "./extension-value.ts";
import type { CedarJson } from "./types.ts";

/**
 * Cedar's `ipaddr`: an IPv4 or IPv6 address with a prefix length, 32 or 128 for a single address.
 *
 * @see https://docs.cedarpolicy.com/policies/syntax-datatypes.html#datatype-ipaddr
 */
export class IpAddr extends ExtensionValue {
  readonly typeName = "ipaddr";
  /** 32 for IPv4, 128 for IPv6. */
  readonly width: 32 | 128;
  /** The address as a number of `width` bits; host bits below the prefix are kept and count in `==`. */
  readonly address: bigint;
  readonly prefix: number;

  constructor(width: 32 | 128, address: bigint, prefix: number) {
    super();
    this.width = width;
    this.address = address;
    this.prefix = prefix;
  }

  equals(other: ExtensionValue): boolean {
    return (
      other instanceof IpAddr &&
      other.width === this.width &&
      other.address === this.address &&
      other.prefix === this.prefix
    );
  }

  key(): string {
    return `@ip${this.width}:${this.address}/${this.prefix}`;
  }

  toJson(): CedarJson {
    const groups = this.width === 32 ? 4 : 8;
    const bits = BigInt(this.width / groups);
    const parts = Array.from({ length: groups }, (_, group) => {
      const part = (this.address >> (bits * BigInt(groups - 1 - group))) & ((1n << bits) - 1n);
      return part.toString(this.width === 32 ? 10 : 16);
    });
    return { __extn: { fn: "ip", arg: `${parts.join(this.width === 32 ? "." : ":")}/${this.prefix}` } };
  }
}

/** `127.0.0.0/8` or `::1`, judged with the prefix: every address of the range must be a loopback one. */
export function isLoopback(ip: IpAddr): boolean {
  return ip.width === 32 ? ip.address >> 24n === 127n && ip.prefix >= 8 : ip.address === 1n && ip.prefix === 128;
}

/** `224.0.0.0/4` or `ff00::/8`, judged with the prefix. */
export function isMulticast(ip: IpAddr): boolean {
  return ip.width === 32
    ? ip.address >> 28n === 0xen && ip.prefix >= 4
    : ip.address >> 120n === 0xffn && ip.prefix >= 8;
}

/** Whether the whole range of `ip` lies within `range`. IPv4 is never within IPv6, nor the reverse. */
export function isInRange(ip: IpAddr, range: IpAddr): boolean {
  if (ip.width !== range.width || ip.prefix < range.prefix) return false;
  const hostBits = BigInt(range.width - range.prefix);
  return ip.address >> hostBits === range.address >> hostBits;
}

const PREFIX = /^(?:0|[1-9][0-9]{0,2})$/;

/** Parses an address, optionally with `/prefix`. IPv4 embedded in IPv6 (`::ffff:1.2.3.4`) is refused, as in Cedar. */
export function parseIp(text: string): IpAddr {
  const slash = text.indexOf("/");
  const host = slash < 0 ? text : text.slice(0, slash);
  const v4 = parseV4(host);
  const address = v4 ?? parseV6(host);
  if (address === undefined) throw failure("invalid IP address");
  const width = v4 === undefined ? 128 : 32;
  if (slash < 0) return new IpAddr(width, address, width);
  const suffix = text.slice(slash + 1);
  const prefix = PREFIX.test(suffix) ? Number(suffix) : Number.NaN;
  if (!(prefix <= width)) throw failure("invalid prefix length");
  return new IpAddr(width, address, prefix);
}

const V4 = /^(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})$/;

function parseV4(text: string): bigint | undefined {
  const match = V4.exec(text);
  if (match === null) return undefined;
  let address = 0;
  for (let octet = 1; octet <= 4; octet++) {
    const value = Number(match[octet]);
    if (value > 255) return undefined;
    address = address * 256 + value;
  }
  return BigInt(address);
}

const GROUPS = /^[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4})*$/;

/** `::` stands for one or more groups of zeros and appears at most once. */
function parseV6(text: string): bigint | undefined {
  if (text.length > 39) return undefined;
  const gap = text.indexOf("::");
  if (gap < 0) {
    const groups = splitGroups(text);
    return groups?.length === 8 ? joinGroups(groups) : undefined;
  }
  const head = gap === 0 ? [] : splitGroups(text.slice(0, gap));
  const tail = gap + 2 === text.length ? [] : splitGroups(text.slice(gap + 2));
  if (head === undefined || tail === undefined || head.length + tail.length > 7) return undefined;
  const zeros = new Array<string>(8 - head.length - tail.length).fill("0");
  return joinGroups([...head, ...zeros, ...tail]);
}

function splitGroups(text: string): string[] | undefined {
  return GROUPS.test(text) ? text.split(":") : undefined;
}

function joinGroups(groups: readonly string[]): bigint {
  return BigInt(`0x${groups.map((group) => group.padStart(4, "0")).join("")}`);
}

function failure(reason: string): EvaluationFailure {
  return new EvaluationFailure(`error while evaluating \`ip\` extension function: ${reason}`);
}
