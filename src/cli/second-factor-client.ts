import { SecondFactorService } from "../../gen/gatehouse/auth/v1/second_factor_service_pb.ts";
import { type CallOptions, createServiceClient, type ServiceClient } from "../shared/client/service-client.ts";
import { ServiceError } from "../shared/service-error.ts";
import { CommandError, type CommandInput, type CommandOption } from "./command.ts";

/** Options of every command that speaks for a signed-in user. */
export const callerOptions: { readonly [name: string]: CommandOption } = {
  server: {
    type: "string",
    default: "localhost:50051",
    placeholder: "HOST:PORT",
    description: "gRPC port of auth-service.",
  },
};

/** Said in the help of each such command. */
export const callerDetails = "Takes the session token of the user from the variable GATEHOUSE_TOKEN.";

/**
 * Runs `work` with a client of the user's own second factors.
 *
 * @throws CommandError when there is no token, and for whatever the server refuses.
 */
export async function withSecondFactorClient<T>(
  { values }: Pick<CommandInput, "values">,
  work: (client: ServiceClient<typeof SecondFactorService>, options: CallOptions) => Promise<T>,
): Promise<T> {
  const token = process.env.GATEHOUSE_TOKEN;
  if (!token) throw new CommandError("GATEHOUSE_TOKEN is not set: sign in, and put the session token there.");
  const client = createServiceClient(SecondFactorService, {
    address: String(values.server),
    target: "auth-service",
    deadlineMs: 10_000,
  });
  try {
    return await work(client, { headers: { authorization: `Bearer ${token}` } });
  } catch (error) {
    throw error instanceof ServiceError ? new CommandError(`${error.message} (${error.reason})`) : error;
  } finally {
    client.close();
  }
}
