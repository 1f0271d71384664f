import type { Server } from "node:net";
import type { Metrics } from "../metrics/metrics.ts";

/** Counts the connections of a server and bounds their number. */
export function trackConnections(server: Server, maxConnections: number, metrics: Metrics): void {
  server.maxConnections = maxConnections;
  server.on("connection", (socket) => {
    metrics.connectionOpened();
    socket.once("close", () => metrics.connectionClosed());
    // A connection that breaks is the peer's affair; its calls hear of it by themselves.
    socket.on("error", () => {});
  });
}
