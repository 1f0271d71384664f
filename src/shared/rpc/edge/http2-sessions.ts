import type { Http2Server, Http2Session } from "node:http2";
import type { Socket } from "node:net";
import { announceDrain, limitAge, onSession } from "../connection-age.ts";
import type { HostLimits } from "../limits.ts";

/** Keeps the sessions of an HTTP/2 server alive, of limited age, and closes them gracefully. */
export interface Http2Sessions {
  /** Asks all peers to go away; each session closes when its streams are done. */
  close(): Promise<void>;
}

export function superviseSessions(server: Http2Server, limits: HostLimits): Http2Sessions {
  const sessions = new Map<Http2Session, Socket>();
  onSession(server, (session, socket) => {
    sessions.set(session, socket);
    const stopTimers = [keepAlive(session, limits), limitAge(session, socket, limits)];
    session.on("error", () => {});
    session.once("close", () => {
      sessions.delete(session);
      for (const stop of stopTimers) stop();
    });
  });
  return {
    async close() {
      await announceDrain(sessions);
      for (const session of sessions.keys()) session.close();
    },
  };
}

function keepAlive(session: Http2Session, limits: HostLimits): () => void {
  let timeout: NodeJS.Timeout | undefined;
  const interval = setInterval(() => {
    timeout = setTimeout(() => session.destroy(), limits.keepaliveTimeoutMs).unref();
    session.ping(() => clearTimeout(timeout));
  }, limits.keepaliveIntervalMs).unref();
  return () => {
    clearInterval(interval);
    clearTimeout(timeout);
  };
}
