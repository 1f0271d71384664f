import type { RequestListener } from "node:http";
import { verifiedPeerOf } from "../../tls/verified-peer.ts";
import { sendJson } from "./routes.ts";

/** What the kubelet asks, which has no certificate. */
const open = new Set(["/livez", "/readyz"]);

/** Answers 401 to every request from a client without a certificate, but for probes. */
export function demandCertificate(listener: RequestListener): RequestListener {
  return (request, response) => {
    const isProbe = request.method === "GET" && open.has(request.url?.split("?", 1)[0] ?? "");
    if (isProbe || verifiedPeerOf(request.socket) !== undefined) listener(request, response);
    else sendJson(response, 401, { code: "unauthenticated", message: "A client certificate is required." });
  };
}
