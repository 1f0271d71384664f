import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { address, type Endpoint, type Json } from "./envoy-settings.ts";

/** Name of the file with the endpoints of a cluster. */
export function endpointFile(cluster: string): string {
  return `${cluster}.endpoints.json`;
}

export function loadAssignment(cluster: string, endpoints: readonly Endpoint[]): { readonly [key: string]: Json } {
  return {
    cluster_name: cluster,
    endpoints: [
      {
        lb_endpoints: endpoints.map(({ port }) => ({
          endpoint: { address: address(port) },
        })),
      },
    ],
  };
}

let version = 0;

/** Tells a running proxy the endpoints of a cluster, as the control plane does when pods come and go. */
export function writeEndpoints(directory: string, cluster: string, endpoints: readonly Endpoint[]): void {
  version += 1;
  const type = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
  const resources = [{ "@type": type, ...loadAssignment(cluster, endpoints) }];
  const path = join(directory, endpointFile(cluster));
  writeFileSync(`${path}.new`, JSON.stringify({ version_info: String(version), resources }));
  // Envoy looks when a file is moved into place.
  renameSync(`${path}.new`, path);
}
