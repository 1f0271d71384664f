import type { DescService } from "@bufbuild/protobuf";
import type { ClientTls } from "../shared/client/channel.ts";
import { type CallOptions, createServiceClient, type ServiceClient } from "../shared/client/service-client.ts";
import { ServiceError } from "../shared/service-error.ts";
import { CertificateError, loadCertificates } from "../shared/tls/certificates.ts";
import { CommandError, type CommandInput, type CommandOption, UsageError } from "./command.ts";

/** How to reach a service that serves TLS. */
export const tlsOptions: { readonly [name: string]: CommandOption } = {
  "tls-ca": {
    type: "string",
    placeholder: "FILE",
    description: "Connect by TLS; certificates in PEM that the server's must chain to.",
  },
  "tls-cert": { type: "string", placeholder: "FILE", description: "Own certificate, with --tls-key." },
  "tls-key": { type: "string", placeholder: "FILE", description: "Private key of --tls-cert." },
  "tls-server-name": {
    type: "string",
    placeholder: "NAME",
    description: "Name in the server's certificate, when it is not that of --address.",
  },
};

/** Options of every command that asks auth-service. */
export const authOptions: { readonly [name: string]: CommandOption } = {
  address: {
    type: "string",
    default: "localhost:50051",
    placeholder: "HOST:PORT",
    description: "gRPC port of auth-service.",
  },
  ...tlsOptions,
};

/** Options of every command that asks policy-service. */
export const policyOptions: { readonly [name: string]: CommandOption } = {
  address: {
    type: "string",
    default: "localhost:50052",
    placeholder: "HOST:PORT",
    description: "gRPC port of policy-service.",
  },
  ...tlsOptions,
};

/** Those of commands whose answer has a form for programs. */
export const jsonOption: { readonly [name: string]: CommandOption } = {
  json: { type: "boolean", description: "Write one JSON object." },
};

/** Said in the help of each such command. */
export const adminDetails =
  "Takes the credential of an admin, an API key or a session token, from the variable GATEHOUSE_TOKEN.";

/** Enough for a password to wait for its turn. */
const deadlineMs = 10_000;

/**
 * Runs `work` with a client of one service, and the caller's credential in the options of its calls.
 *
 * @throws CommandError when there is no credential, and for whatever the server refuses; UsageError for its options.
 */
export async function withClient<S extends DescService, T>(
  service: S,
  { values }: Pick<CommandInput, "values">,
  work: (client: ServiceClient<S>, options: CallOptions) => Promise<T>,
): Promise<T> {
  const token = process.env.GATEHOUSE_TOKEN ?? "";
  if (token === "") throw new CommandError("GATEHOUSE_TOKEN is not set: put an API key or a session token there.");
  if (!/^[\x21-\x7e]+$/.test(token)) throw new CommandError("GATEHOUSE_TOKEN is no token: it has spaces or the like.");
  const address = String(values.address);
  const client = createServiceClient(service, {
    address,
    target: `${targetOf(service)} at ${address}`,
    deadlineMs,
    tls: tlsOf(values),
  });
  try {
    return await work(client, { headers: { authorization: `Bearer ${token}` } });
  } catch (error) {
    throw error instanceof ServiceError ? refused(error) : error;
  } finally {
    client.close();
  }
}

/** TLS that the options ask for. @throws UsageError when they do not go together, CommandError when a file cannot be used. */
export function tlsOf(values: CommandInput["values"]): ClientTls | undefined {
  const [ca, cert, key, serverName] = ["tls-ca", "tls-cert", "tls-key", "tls-server-name"].map((name) =>
    values[name] === undefined ? undefined : String(values[name]),
  );
  if ((cert === undefined) !== (key === undefined)) throw new UsageError("--tls-cert and --tls-key go together");
  if (ca === undefined) {
    if (cert === undefined && serverName === undefined) return undefined;
    throw new UsageError("--tls-ca is required with the other --tls options");
  }
  try {
    const current = loadCertificates({ ca, cert, key });
    return { certificates: { current, onChange: () => () => {} }, serverName };
  } catch (error) {
    throw error instanceof CertificateError ? new CommandError(`${error.message}.`) : error;
  }
}

function targetOf({ typeName }: DescService): string {
  return typeName.startsWith("gatehouse.policy.") ? "policy-service" : "auth-service";
}

/** What a refusal comes to for who typed the command: every field at fault, and the reason to look up. */
function refused({ message, reason, code, violations }: ServiceError): CommandError {
  const faults = violations.map(({ field, description }) => `\n  ${field}: ${description}`).join("");
  return new CommandError(`${faults === "" ? message : `The request is not valid.${faults}`} (${code}, ${reason})`);
}
