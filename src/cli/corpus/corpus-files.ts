import { readdir, readFile, stat } from "node:fs/promises";
import { dirname, join, normalize, relative, sep } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { CommandError } from "../command.ts";

/** A corpus: the names of its files, with `/`, and their text. */
export type CorpusFiles = {
  readonly names: readonly string[];
  /**
   * Reads a file that a case names. The name is from the corpus's root, which may be the directory given, or one that
   * holds it. Undefined when there is none.
   */
  read(name: string): Promise<string | undefined>;
};

/** Opens a directory, or a `.tar.gz`, which is read into memory. */
export async function openCorpus(path: string): Promise<CorpusFiles> {
  const stats = await stat(path).catch(() => undefined);
  if (!stats) throw new CommandError(`${path} does not exist`);
  return stats.isDirectory() ? openDirectory(path) : openArchive(path);
}

async function openDirectory(directory: string): Promise<CorpusFiles> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort();
  return {
    names,
    async read(name) {
      if (!isInside(name)) return undefined;
      for (const root of ancestors(directory)) {
        const text = await readFile(join(root, name), "utf8").catch(() => undefined);
        if (text !== undefined) return text;
      }
      return undefined;
    },
  };
}

/** A directory and those around it, as far as a checkout's root may be. */
function ancestors(directory: string): string[] {
  const roots = [join(process.cwd(), directory)];
  if (directory.startsWith(sep)) roots[0] = directory;
  for (let depth = 0; depth < 3; depth++) roots.push(dirname(roots.at(-1)!));
  return roots;
}

function isInside(name: string): boolean {
  const normal = normalize(name);
  return !normal.startsWith(sep) && normal.split(sep)[0] !== "..";
}

/** Bytes an archive may unpack to. */
const MAX_UNPACKED = 2 ** 31 - 1;

async function openArchive(path: string): Promise<CorpusFiles> {
  const packed = await readFile(path);
  const archive = await promisify(gunzip)(packed, { maxOutputLength: MAX_UNPACKED }).catch((error: Error) => {
    throw new CommandError(`${path} is not a .tar.gz: ${error.message}`);
  });
  const files = readTar(archive);
  return {
    names: [...files.keys()].sort(),
    read: async (name) => files.get(normalize(name).split(sep).join("/"))?.toString("utf8"),
  };
}

const BLOCK = 512;

/**
 * Reads the regular files of a tar archive, without copying them.
 *
 * @see POSIX.1-2017, pax: ustar and extended headers; GNU's long names are read, too
 */
export function readTar(archive: Buffer): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  let longName: string | undefined;
  for (let at = 0; at + BLOCK <= archive.length; ) {
    const header = archive.subarray(at, at + BLOCK);
    if (header[0] === 0) break;
    const size = Number.parseInt(field(header, 124, 12) || "0", 8);
    const body = archive.subarray(at + BLOCK, at + BLOCK + size);
    if (!Number.isSafeInteger(size) || body.length < size) throw new CommandError("the archive is cut off or damaged");
    const type = field(header, 156, 1) || "0";
    if (type === "x") longName = /(?:^|\n)\d+ path=([^\n]*)\n/.exec(body.toString("utf8"))?.[1];
    else if (type === "L") longName = field(body, 0, size);
    else {
      const prefix = field(header, 257, 5) === "ustar" ? field(header, 345, 155) : "";
      const name = longName ?? [prefix, field(header, 0, 100)].filter(Boolean).join("/");
      if (type === "0") files.set(name.replace(/^\.\//, ""), body);
      longName = undefined;
    }
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}

function field(header: Buffer, offset: number, length: number): string {
  const bytes = header.subarray(offset, offset + length);
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? length : end).trim();
}
