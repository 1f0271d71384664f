import { writeFile } from "node:fs/promises";
import { createInterface } from "node:readline/promises";
import { toBuffer, toString as toText } from "qrcode";
import { SecondFactorService } from "../../../gen/gatehouse/auth/v1/second_factor_service_pb.ts";
import { type Command, CommandError, UsageError } from "../command.ts";
import { authOptions, withClient } from "../service-client.ts";

/** Said in the help of each command about the user's own second factors. */
export const ownerDetails = "Takes the session token of the user from the variable GATEHOUSE_TOKEN.";

const forms = ["terminal", "png", "svg"] as const;
type Form = (typeof forms)[number];

/** Gives the user an authenticator. */
export const mfaEnrol: Command = {
  name: "mfa enrol",
  summary: "Set up an authenticator app for the signed-in user.",
  details: `${ownerDetails}\n\nShows a QR code, reads the first code of the app from standard input, and prints backup codes, once.`,
  arguments: [],
  options: {
    ...authOptions,
    qr: { type: "string", default: "terminal", placeholder: forms.join("|"), description: "How to show the QR code." },
    out: {
      type: "string",
      placeholder: "FILE",
      description: "File for a png or svg. Default gatehouse-mfa.png or .svg.",
    },
  },
  async run({ values, out, err }) {
    const form = formOf(values.qr);
    const path = typeof values.out === "string" ? values.out : `gatehouse-mfa.${form}`;
    return await withClient(SecondFactorService, { values }, async (client, options) => {
      const { secret, otpauthUri } = await client.enrolTotp({}, options);
      if (form === "terminal") out(await toText(otpauthUri, { type: "terminal", small: true }));
      else {
        await writeSecretFile(
          path,
          form === "png" ? await toBuffer(otpauthUri) : await toText(otpauthUri, { type: "svg" }),
        );
        out(`The QR code is in ${path}. It is a secret: delete it afterwards.`);
      }
      out(`Without a camera, type this into the app: ${secret}`);
      const { backupCodes } = await client.confirmTotp({ code: await askCode(err) }, options);
      out(`The authenticator is in force. Each of these codes stands in for it once; keep them safe:\n`);
      for (const code of backupCodes) out(`  ${code}`);
      return 0;
    });
  },
};

function formOf(value: unknown): Form {
  const form = forms.find((name) => name === value);
  if (form === undefined) throw new UsageError(`--qr must be one of ${forms.join(", ")}`);
  return form;
}

/** Writes a file that is its owner's alone, and never over another. */
async function writeSecretFile(path: string, content: string | Buffer): Promise<void> {
  try {
    await writeFile(path, content, { flag: "wx", mode: 0o600 });
  } catch (error) {
    throw new CommandError(`${path} cannot be written: ${(error as Error).message}`);
  }
}

async function askCode(err: (line: string) => void): Promise<string> {
  err("Code that the app shows now:");
  const input = createInterface({ input: process.stdin });
  try {
    for await (const line of input) return line.replaceAll(" ", "");
    throw new CommandError("There was no code: the authenticator is not in force.");
  } finally {
    input.close();
  }
}
