import type { Http2Server, ServerHttp2Session } from "node:http2";
import type { HostLimits } from "../limits.ts";

/** Keeps the sessions of an HTTP/2 server alive, of limited age, and closes them gracefully. */
export interface Http2Sessions {
  /** Asks all peers to go away; each session closes when its streams are done. */
  close(): void;
}

export function superviseSessions(server: Http2Server, limits: HostLimits): Http2Sessions {
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    const stopTimers = [keepAlive(session, limits), limitAge(session, limits)];
    session.on("error", () => {});
    session.once("close", () => {
      sessions.delete(session);
      for (const stop of stopTimers) stop();
    });
  });
  return {
    close() {
      for (const session of sessions) session.close();
    },
  };
}

function keepAlive(session: ServerHttp2Session, limits: HostLimits): () => void {
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

function limitAge(session: ServerHttp2Session, limits: HostLimits): () => void {
  let grace: NodeJS.Timeout | undefined;
  const ageMs = limits.maxConnectionAgeMs * (0.9 + Math.random() * 0.2);
  const age = setTimeout(() => {
    session.close();
    grace = setTimeout(() => session.destroy(), limits.maxConnectionAgeGraceMs).unref();
  }, ageMs).unref();
  return () => {
    clearTimeout(age);
    clearTimeout(grace);
  };
}
