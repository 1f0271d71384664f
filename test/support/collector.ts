import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { freePort } from "./ports.ts";

/** A span as a collector gets it. */
export interface CollectedSpan {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly kind: number;
  readonly start: bigint;
  readonly end: bigint;
  readonly attributes: Readonly<Record<string, string>>;
  /** Message of the status; undefined when it went well. */
  readonly failure: string | undefined;
}

/** An OpenTelemetry collector that keeps what it gets by OTLP/HTTP in JSON. */
export interface Collector {
  readonly url: string;
  readonly spans: readonly CollectedSpan[];
  /** All bodies, as text. */
  readonly text: string;
  close(): Promise<void>;
}

/** Starts a collector on loopback that answers with a status. */
export async function startCollector(status = 200): Promise<Collector> {
  const port = await freePort();
  const spans: CollectedSpan[] = [];
  let text = "";
  const server = createServer(async (request, response) => {
    const body = await json(request);
    text += JSON.stringify(body);
    if (request.method === "POST" && request.url === "/v1/traces" && status === 200) spans.push(...spansOf(body));
    response.writeHead(status, { "content-type": "application/json" }).end("{}");
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    get text() {
      return text;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

// biome-ignore lint/suspicious/noExplicitAny: A body is looked into as it came.
function spansOf(body: any): CollectedSpan[] {
  const spans: CollectedSpan[] = [];
  for (const { resource, scopeSpans } of body.resourceSpans) {
    const service = textsOf(resource.attributes)["service.name"] ?? "";
    for (const scope of scopeSpans) {
      for (const span of scope.spans) {
        const { traceId, spanId, parentSpanId, name, kind, startTimeUnixNano, endTimeUnixNano, status } = span;
        const times = { start: BigInt(startTimeUnixNano), end: BigInt(endTimeUnixNano) };
        const failure = status?.code === 2 ? String(status.message) : undefined;
        const attributes = textsOf(span.attributes);
        spans.push({ service, traceId, spanId, parentSpanId, name, kind, ...times, attributes, failure });
      }
    }
  }
  return spans;
}

// biome-ignore lint/suspicious/noExplicitAny: As above.
function textsOf(attributes: any): Record<string, string> {
  // biome-ignore lint/suspicious/noExplicitAny: As above.
  return Object.fromEntries(attributes.map(({ key, value }: any) => [key, value.stringValue ?? value.intValue]));
}
