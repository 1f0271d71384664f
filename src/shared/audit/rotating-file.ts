import { type FileHandle, open, rename, stat } from "node:fs/promises";
import { dirname } from "node:path";

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

/** Opens the file, creating it when missing. A line that a crash left unfinished is removed. */
export async function openRotatingFile({ path, maxBytes, count }: RotatingFileOptions): Promise<RotatingFile> {
  let file = await openAtLineEnd(path);
  let size = (await file.stat()).size;
  await syncDirectory(path);

  async function rotate(): Promise<void> {
    for (let n = count - 1; n >= 1; n -= 1) await renameIfThere(n === 1 ? path : `${path}.${n - 1}`, `${path}.${n}`);
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
    close: async () => await file.close(),
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

async function renameIfThere(from: string, to: string): Promise<void> {
  const there = await stat(from).then(
    () => true,
    () => false,
  );
  if (there) await rename(from, to);
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
