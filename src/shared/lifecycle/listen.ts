import type { AddressInfo, Server } from "node:net";

/** Where to listen. */
export interface ListenAddress {
  readonly host: string;
  /** TCP port; 0 lets the system choose one. */
  readonly port: number;
  /** Environment variable that sets the port, to be named when the port cannot be used. */
  readonly env?: string;
}

/** The port cannot be listened on; the message says which, why, and what to change. */
export class ListenError extends Error {
  override readonly name = "ListenError";
}

const causes: Readonly<Record<string, string>> = {
  EADDRINUSE: "is already in use",
  EACCES: "may not be used by this user",
  EADDRNOTAVAIL: "is not an address of this machine",
};

/**
 * Listens and answers the port.
 *
 * @throws ListenError when the port is taken, forbidden, or the address is not the machine's.
 */
export function listen(server: Server, what: string, address: ListenAddress): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const cause = causes[error.code ?? ""] ?? `cannot be listened on (${error.code ?? error.message})`;
      const advice = address.env === undefined ? "" : `; set ${address.env} to another port`;
      reject(new ListenError(`${what} port ${address.host}:${address.port} ${cause}${advice}`, { cause: error }));
    });
    server.listen({ host: address.host, port: address.port, backlog: 1_024 }, () => {
      server.removeAllListeners("error");
      resolve((server.address() as AddressInfo).port);
    });
  });
}
