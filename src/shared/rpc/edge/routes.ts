import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Logger } from "pino";
import type { Readiness } from "../../lifecycle/readiness.ts";
import type { Metrics } from "../../metrics/metrics.ts";

/** A plain HTTP route beside the RPCs. */
export interface Route {
  readonly method: "GET" | "POST";
  /** Path without query, matched exactly. */
  readonly path: string;
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;
}

/** `/livez`, `/readyz` with the reasons, and `/metrics`. */
export function operationalRoutes(readiness: Readiness, metrics: Metrics): Route[] {
  return [
    { method: "GET", path: "/livez", handle: (_, response) => sendJson(response, 200, { live: true }) },
    {
      method: "GET",
      path: "/readyz",
      handle: (_, response) => sendJson(response, readiness.ready ? 200 : 503, readiness.report()),
    },
    {
      method: "GET",
      path: "/metrics",
      async handle(_, response) {
        const text = await metrics.render();
        response
          .writeHead(200, { "content-type": metrics.registry.contentType, "cache-control": "no-store" })
          .end(text);
      },
    },
  ];
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response
    .writeHead(status, { "content-type": "application/json; charset=utf-8", "cache-control": "no-store" })
    .end(`${JSON.stringify(body)}\n`);
}

/** Answers requests by routes; 404 and 405 for what there is none. HEAD is answered as GET. */
export function createRouter(routes: readonly Route[], logger: Logger, onUnknown: () => void): RequestListener {
  const byPath = Map.groupBy(routes, (route) => route.path);
  return (request, response) => {
    const candidates = byPath.get(request.url?.split("?", 1)[0] ?? "");
    if (candidates === undefined) {
      if (request.method === "POST") onUnknown();
      sendJson(response, 404, { error: "not_found" });
      return;
    }
    const method = request.method === "HEAD" ? "GET" : request.method;
    const route = candidates.find((candidate) => candidate.method === method);
    if (route === undefined) {
      response.setHeader("allow", candidates.map((candidate) => candidate.method).join(", "));
      sendJson(response, 405, { error: "method_not_allowed" });
      return;
    }
    (async () => route.handle(request, response))().catch((error: unknown) => {
      logger.error({ err: error, path: route.path }, "route failed");
      if (response.headersSent) response.destroy();
      else sendJson(response, 500, { error: "internal" });
    });
  };
}
