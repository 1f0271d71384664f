import type { Server, Socket } from "node:net";
import type { Metrics } from "../metrics/metrics.ts";

/** The open connections of a server. */
export interface Connections {
  /** Ends all of them, whatever goes on in them. */
  destroy(): void;
}

/** Counts the connections of a server and bounds their number. */
export function trackConnections(server: Server, maxConnections: number, metrics: Metrics): Connections {
  const open = new Set<Socket>();
  server.maxConnections = maxConnections;
  server.on("connection", (socket) => {
    open.add(socket);
    metrics.connectionOpened();
    socket.once("close", () => {
      open.delete(socket);
      metrics.connectionClosed();
    });
    // A connection that breaks is the peer's affair; its calls hear of it by themselves.
    socket.on("error", () => {});
  });
  return {
    destroy() {
      for (const socket of open) socket.destroy();
    },
  };
}
