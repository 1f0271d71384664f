import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { UsageError } from "../command.ts";

export type ServiceName = "auth-service" | "policy-service";

/** One process to look at. */
export interface Replica {
  readonly service: ServiceName;
  /** Address to connect to. */
  readonly address: string;
  /** Name it was given by, which its certificate has to be for. */
  readonly host: string;
  readonly grpcPort: number;
  readonly httpPort: number;
  /** How findings name it. */
  readonly label: string;
}

const defaultPorts: Readonly<Record<ServiceName, readonly [number, number]>> = {
  "auth-service": [50_051, 8_081],
  "policy-service": [50_052, 8_082],
};

/** A place as it is typed, `HOST[:GRPC_PORT[/HTTP_PORT]]`, with an IPv6 address in brackets. @throws UsageError */
export function parsePlace(service: ServiceName, text: string): Omit<Replica, "address" | "label"> {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5})(?:\/(\d{1,5}))?)?$/.exec(text);
  const [grpc, http] = defaultPorts[service];
  const [grpcPort, httpPort] = [Number(match?.[3] ?? grpc), Number(match?.[4] ?? http)];
  const inRange = [grpcPort, httpPort].every((port) => port >= 1 && port <= 65_535);
  if (match === null || !inRange) throw new UsageError(`not a place: ${text} (HOST[:GRPC_PORT[/HTTP_PORT]])`);
  return { service, host: (match[1] ?? match[2])!, grpcPort, httpPort };
}

/**
 * The replicas behind a place: every IPv4 address of a name, or, when it has none, every IPv6 address.
 *
 * @throws Error of node:dns when the name cannot be resolved.
 */
export async function resolveReplicas(service: ServiceName, text: string): Promise<Replica[]> {
  const place = parsePlace(service, text);
  const addresses = isIP(place.host) === 0 ? await addressesOf(place.host) : [place.host];
  return addresses.map((address) => ({
    ...place,
    address,
    label: `${service} ${authority(address, place.grpcPort)}`,
  }));
}

async function addressesOf(host: string): Promise<string[]> {
  const found = await lookup(host, { all: true });
  const version4 = found.filter(({ family }) => family === 4);
  return [...new Set((version4.length > 0 ? version4 : found).map(({ address }) => address))].sort();
}

/** `host:port`, with brackets where they are needed. */
export function authority(host: string, port: number): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}
