import { once } from "node:events";
import { connect } from "node:net";
import { create } from "@bufbuild/protobuf";
import { Health, HealthCheckResponse_ServingStatus } from "../../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection, ServerReflectionRequestSchema } from "../../../gen/grpc/reflection/v1/reflection_pb.ts";
import type { ClientTls } from "../../shared/client/channel.ts";
import { createServiceClient, type ServiceClientOptions } from "../../shared/client/service-client.ts";
import { ServiceError } from "../../shared/service-error.ts";
import { causeOf, type HttpAnswer, type HttpGetOptions, httpGet } from "./http-get.ts";
import { authority, type Replica } from "./replica.ts";

/** How replicas are asked. */
export interface ProbeOptions {
  readonly timeoutMs: number;
  /** Set when both ports speak TLS. */
  readonly tls?: ClientTls | undefined;
}

/** A thing that was asked for: its answer, or why there is none. */
export type Asked<T> = { readonly value: T } | { readonly failure: string; readonly code?: string };

/** All that one replica told of itself. */
export interface Probe {
  readonly replica: Replica;
  readonly grpcPort: Asked<true>;
  readonly health: Asked<boolean>;
  /** Full names of the services that reflection lists. */
  readonly services: Asked<readonly string[]>;
  readonly readyz: Asked<HttpAnswer>;
  readonly metrics: Asked<HttpAnswer>;
}

/** Asks a replica everything that needs no credential, at once. */
export async function probe(replica: Replica, options: ProbeOptions): Promise<Probe> {
  const [grpcPort, readyz, metrics] = await Promise.all([
    asked(() => listens(replica, options.timeoutMs)),
    asked(() => getPage(replica, "/readyz", options)),
    asked(() => getPage(replica, "/metrics", options)),
  ]);
  if (!("value" in grpcPort)) {
    return { replica, grpcPort, health: grpcPort, services: grpcPort, readyz, metrics };
  }
  const [health, services] = await Promise.all([
    asked(() => askHealth(replica, options)),
    asked(() => askServices(replica, options)),
  ]);
  return { replica, grpcPort, health, services, readyz, metrics };
}

/** Fetches a page of a replica's HTTP edge. */
export async function getPage(replica: Replica, path: string, { timeoutMs, tls }: ProbeOptions): Promise<HttpAnswer> {
  const scheme = tls === undefined ? "http" : "https";
  const url = `${scheme}://${authority(replica.address, replica.httpPort)}${path}`;
  return await httpGet(url, { timeoutMs, ...(tls === undefined ? {} : httpTls(replica, tls)) });
}

/** Options of a client of one replica. */
export function clientOptions(replica: Replica, { timeoutMs, tls }: ProbeOptions): ServiceClientOptions {
  return {
    address: authority(replica.address, replica.grpcPort),
    target: replica.label,
    deadlineMs: timeoutMs,
    maxRetries: 0,
    tls: tls && { ...tls, serverName: serverNameOf(replica, tls) },
  };
}

/** The name that a replica's certificate has to be for. */
export function serverNameOf({ host }: Replica, { serverName }: ClientTls): string {
  return serverName ?? host;
}

function httpTls(replica: Replica, tls: ClientTls): Pick<HttpGetOptions, "ca" | "cert" | "key" | "serverName"> {
  const { ca, identity } = tls.certificates.current;
  return { ca: ca?.certs, cert: identity?.cert, key: identity?.key, serverName: serverNameOf(replica, tls) };
}

/** Settles a question. What is not an answer becomes words. */
export async function asked<T>(question: () => Promise<T>): Promise<Asked<T>> {
  try {
    return { value: await question() };
  } catch (error) {
    if (error instanceof ServiceError) {
      return {
        failure: `${error.code}: ${error.cause === undefined ? error.message : causeOf(error.cause)}`,
        code: error.code,
      };
    }
    return { failure: causeOf(error) };
  }
}

async function listens({ address, grpcPort }: Replica, timeoutMs: number): Promise<true> {
  const socket = connect(grpcPort, address);
  try {
    await once(socket, "connect", { signal: AbortSignal.timeout(timeoutMs) });
    return true;
  } catch (error) {
    throw error instanceof Error && error.name === "AbortError" ? new Error(`no answer within ${timeoutMs} ms`) : error;
  } finally {
    socket.destroy();
  }
}

async function askHealth(replica: Replica, options: ProbeOptions): Promise<boolean> {
  const client = createServiceClient(Health, clientOptions(replica, options));
  try {
    return (await client.check({})).status === HealthCheckResponse_ServingStatus.SERVING;
  } finally {
    client.close();
  }
}

async function askServices(replica: Replica, options: ProbeOptions): Promise<string[]> {
  const client = createServiceClient(ServerReflection, clientOptions(replica, options));
  try {
    return await new Promise((resolve, reject) => {
      const stream = client.serverReflectionInfo({ deadline: Date.now() + options.timeoutMs });
      stream.onFrame(({ messageResponse }) => {
        if (messageResponse.case !== "listServicesResponse") reject(new Error("an answer of another kind"));
        else resolve(messageResponse.value.service.map(({ name }) => name));
        stream.cancel();
      });
      stream.onClose((error) => reject(error ?? new Error("no answer")));
      stream.send(create(ServerReflectionRequestSchema, { messageRequest: { case: "listServices", value: "" } }));
      stream.end();
    });
  } finally {
    client.close();
  }
}
