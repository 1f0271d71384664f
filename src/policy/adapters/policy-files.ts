import { createHash } from "node:crypto";
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import type { SourceFile } from "../control/sources.ts";

/** The files of a policy directory, by what they hold. */
export type PolicyFiles = {
  readonly policies: readonly SourceFile[];
  readonly schema: SourceFile | undefined;
  readonly entities: readonly SourceFile[];
  readonly links: SourceFile | undefined;
  /** SHA-256 over names and contents, in hex: equal exactly where the directory's content is. */
  readonly contentHash: string;
};

/** Bounds on a directory's files. */
export type FileLimits = {
  /** Bytes of one file. Default 64 MiB. */
  readonly fileBytes: number;
  /** Files read. Default 10,000. */
  readonly files: number;
};

/** The limits used where none are given. */
export const DEFAULT_FILE_LIMITS: FileLimits = { fileBytes: 64 << 20, files: 10_000 };

/** A directory that cannot be read as one of policies. */
export class PolicyDirectoryError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "PolicyDirectoryError";
  }
}

const SCHEMAS = ["schema.cedarschema", "schema.cedarschema.json"];

/**
 * Reads a policy directory: `*.cedar`, `schema.cedarschema` or `schema.cedarschema.json`, `entities.json` or
 * `entities/*.json`, and `links.json`. Names that start with a dot are passed over. Where the directory is a link, or a
 * Kubernetes volume (whose files are links through `..data`), all is read from what the link names at first, so that a
 * swap in between mixes nothing.
 *
 * @throws PolicyDirectoryError when the directory or a file cannot be read or is beyond the limits
 */
export async function readPolicyFiles(
  directory: string,
  limits: FileLimits = DEFAULT_FILE_LIMITS,
): Promise<PolicyFiles> {
  const root = await resolveRoot(directory);
  const names = await list(root);
  const schemas = SCHEMAS.filter((name) => names.includes(name));
  if (schemas.length > 1) throw new PolicyDirectoryError(`${directory} holds two schemas: ${schemas.join(", ")}`);
  const policyNames = names.filter((name) => name.endsWith(".cedar"));
  const entityNames = [
    ...names.filter((name) => name === "entities.json"),
    ...(names.includes("entities") ? await list(join(root, "entities")) : [])
      .filter((name) => name.endsWith(".json"))
      .map((name) => `entities/${name}`),
  ];
  const wanted = policyNames.length + entityNames.length;
  if (wanted > limits.files)
    throw new PolicyDirectoryError(`${directory} holds ${wanted} files; at most ${limits.files} are read`);

  const hash = createHash("sha256");
  const read = async (name: string): Promise<SourceFile> => {
    const text = await readText(join(root, name), limits);
    hash.update(JSON.stringify([name, text]));
    return { name, text };
  };
  const readAll = async (chosen: readonly string[]): Promise<SourceFile[]> => {
    const files: SourceFile[] = [];
    for (const name of chosen) files.push(await read(name));
    return files;
  };
  const policies = await readAll(policyNames);
  const [schema] = await readAll(schemas);
  const entities = await readAll(entityNames);
  const [links] = await readAll(names.filter((name) => name === "links.json"));
  return { policies, schema, entities, links, contentHash: hash.digest("hex") };
}

async function resolveRoot(directory: string): Promise<string> {
  try {
    const root = await realpath(directory);
    return await realpath(join(root, "..data")).catch(() => root);
  } catch (cause) {
    throw new PolicyDirectoryError(`cannot read the directory ${directory}: ${code(cause)}`, { cause });
  }
}

/** File names in order of their code units, the same on every machine. */
async function list(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => !name.startsWith(".")).sort();
  } catch (cause) {
    throw new PolicyDirectoryError(`cannot read the directory ${directory}: ${code(cause)}`, { cause });
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true });

async function readText(path: string, { fileBytes }: FileLimits): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > fileBytes)
      throw new PolicyDirectoryError(`${path} is ${size} bytes long; at most ${fileBytes} are read`);
    return UTF8.decode(await readFile(path));
  } catch (cause) {
    if (cause instanceof PolicyDirectoryError) throw cause;
    throw new PolicyDirectoryError(`cannot read ${path}: ${code(cause)}`, { cause });
  }
}

function code(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}
