import { type FileHandle, open, rename, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";

export interface RotatingFileOptions {
  readonly path: string;
  /** Size beyond which the file is set aside as `<path>.1`, in bytes. A single line may be larger. */
  readonly maxBytes: number;
  /** How many files are kept, this one included. */
  readonly count: number;
}

/** A file of lines that is set aside when it is full. Mode 0600. */
export interface RotatingFile {
  /**
   * Appends lines, each with its end. Once this resolves the disk has them; when it rejects, it may have some of them, whole.
   * One call at a time.
   */
  append(lines: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** How long to wait for a process that is just ending, in milliseconds. */
const lockTimeoutMs = 2_000;

/**
 * Opens the file, creating it when missing, for this process alone. A line that a crash left unfinished is removed.
 *
 * @throws Error when another process has it.
 */
export async function openRotatingFile({ path, maxBytes, count }: RotatingFileOptions): Promise<RotatingFile> {
  const lock = takeLock(`${path}.lock`);
  let file = await openAtLineEnd(path);
  let size = (await file.stat()).size;
  await syncDirectory(path);

  async function rotate(): Promise<void> {
    let free = 1;
    while (free < count - 1 && (await exists(`${path}.${free}`))) free += 1;
    if (count > 1) for (let n = free; n >= 1; n -= 1) await rename(n === 1 ? path : `${path}.${n - 1}`, `${path}.${n}`);
    const next = await open(path, count === 1 ? "w" : "a", 0o600);
    await file.close();
    file = next;
    size = 0;
    await syncDirectory(path);
  }

  async function write(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    try {
      await file.appendFile(bytes);
      await file.datasync();
    } catch (error) {
      await file.truncate(size);
      throw error;
    }
    size += bytes.length;
  }

  return {
    async append(lines) {
      let text = "";
      let length = 0;
      for (const line of lines) {
        const bytes = Buffer.byteLength(line);
        if (size + length > 0 && size + length + bytes > maxBytes) {
          await write(text);
          await rotate();
          text = "";
          length = 0;
        }
        text += line;
        length += bytes;
      }
      await write(text);
    },
    async close() {
      await file.close();
      lock.close();
    },
  };
}

async function openAtLineEnd(path: string): Promise<FileHandle> {
  const file = await open(path, "a+", 0o600);
  try {
    await file.chmod(0o600);
    const { size } = await file.stat();
    const end = await endOfLastLine(file, size);
    if (end < size) await file.truncate(end);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Where the last complete line ends, looked for from the end. */
async function endOfLastLine(file: FileHandle, size: number): Promise<number> {
  const chunk = Buffer.alloc(65_536);
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - chunk.length);
    const { bytesRead } = await file.read(chunk, 0, end - start, start);
    const at = chunk.subarray(0, bytesRead).lastIndexOf(0x0a);
    if (at >= 0) return start + at + 1;
    end = start;
  }
  return 0;
}

/** A lock that ends with its process, however that ends: that of a SQLite file. */
function takeLock(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: lockTimeoutMs });
  try {
    // Nothing is ever written to it.
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return database;
  } catch (cause) {
    database.close();
    throw new Error("another process writes it", { cause });
  }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

/** A new name outlives a power cut once its directory is on the disk. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(dirname(path), "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
