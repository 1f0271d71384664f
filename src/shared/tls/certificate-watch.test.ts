import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import {
  type CertificateDirectory,
  createAuthority,
  createCertificateDirectory,
  type Leaf,
  swapFiles,
} from "../../../test/support/certificates.ts";
import { eventually } from "../../../test/support/eventually.ts";
import { createReadiness } from "../lifecycle/readiness.ts";
import { createLogger } from "../logger/logger.ts";
import { createMetrics } from "../metrics/metrics.ts";
import { createCertificateReport } from "./certificate-report.ts";
import { type CertificateWatch, watchCertificates } from "./certificate-watch.ts";
import { loadCertificates } from "./certificates.ts";
import { createTlsMetrics } from "./tls-metrics.ts";

const authority = createAuthority("authority");
const [first, second, third] = [1, 2, 3].map((days) => authority.issue({ names: ["DNS:localhost"], days }));
const expired = authority.issue({ names: ["DNS:localhost"], days: -1 });

describe("certificates under watch", () => {
  let directory: CertificateDirectory;
  let watch: CertificateWatch;
  let logs: string[];
  let readiness: ReturnType<typeof createReadiness>;
  let metrics: ReturnType<typeof createMetrics>;

  const files = (): { cert: string; key: string; ca: string } => ({
    cert: directory.file("tls.crt"),
    key: directory.file("tls.key"),
    ca: directory.file("ca.crt"),
  });
  const contents = ({ cert, key }: Leaf): Record<string, string> => ({
    "tls.crt": cert,
    "tls.key": key,
    "ca.crt": authority.cert,
  });
  function start(pollMs: number): void {
    logs = [];
    readiness = createReadiness();
    metrics = createMetrics({ service: "test", process: false });
    const report = createCertificateReport({
      name: "server",
      logger: createLogger({ service: "test", destination: { write: (line) => void logs.push(line) } }),
      metrics: createTlsMetrics(metrics.registry),
      check: readiness.add("tls-server"),
      gatesReadiness: true,
    });
    watch = watchCertificates({ files: files(), onLook: report, settleMs: 20, pollMs });
  }
  const inForce = (leaf: Leaf): void => assert.equal(watch.current.identity?.cert.toString(), leaf.cert);
  const detail = (): string => readiness.report().checks["tls-server"]?.detail ?? "";
  const metric = async (name: string): Promise<number> =>
    Number(new RegExp(`^${name}\\{.*\\} (\\S+)$`, "m").exec(await metrics.render())?.[1]);

  beforeEach(() => {
    directory = createCertificateDirectory();
  });
  afterEach(() => {
    watch.close();
    directory.remove();
  });

  it("are taken up when Kubernetes swaps its link", async () => {
    swapFiles(directory, contents(first!));
    start(60_000);
    inForce(first!);
    const told: Leaf[] = [];
    watch.onChange(({ identity }) => told.push({ cert: String(identity?.cert), key: String(identity?.key) }));
    for (const leaf of [second!, third!]) {
      swapFiles(directory, contents(leaf));
      await eventually(() => inForce(leaf));
    }
    assert.deepEqual(told, [second, third]);
    const expiry = watch.current.identity?.validity.to ?? 0;
    assert.equal(await metric("tls_certificate_expiry_timestamp_seconds"), expiry / 1_000);
    assert.equal(await metric("tls_reload_failures_total"), 0);
    assert.equal(detail(), `valid until ${new Date(expiry).toISOString()}`);
  });

  it("are taken up when nothing tells of the change", async () => {
    swapFiles(directory, contents(first!));
    start(50);
    // Signs come from the directory that was there at the start.
    const moved = `${directory.path}-moved`;
    renameSync(directory.path, moved);
    mkdirSync(directory.path);
    rmSync(moved, { recursive: true });
    swapFiles(directory, contents(second!));
    await eventually(() => inForce(second!));
  });

  const bad: Readonly<Record<string, [Record<string, string>, RegExp]>> = {
    "a certificate whose key has not come yet": [{ "tls.crt": second!.cert }, /tls\.key does not hold the key of/],
    "half a certificate": [
      { "tls.crt": second!.cert.slice(0, 300) },
      /tls\.crt holds a certificate that cannot be read/,
    ],
    "an empty file": [{ "tls.crt": "" }, /tls\.crt holds no certificate in PEM/],
    "half a key": [{ "tls.key": second!.key.slice(0, 100) }, /tls\.key holds no private key that can be read/],
    "no authority": [{ "ca.crt": "soon" }, /ca\.crt holds no certificate in PEM/],
    "an expired certificate": [{ "tls.crt": expired.cert, "tls.key": expired.key }, /tls\.crt expired at 20/],
  };
  for (const [what, [changed, reason]] of Object.entries(bad)) {
    it(`stay when there is ${what}, until it is mended`, async () => {
      for (const [name, content] of Object.entries(contents(first!))) directory.write(name, content);
      start(50);
      for (const [name, content] of Object.entries(changed)) directory.write(name, content);
      await eventually(() => assert.match(detail(), reason));
      inForce(first!);
      assert.equal(readiness.ready, true);
      // Told once, however often it is looked at.
      await eventually(() => assert.match(logs.join(""), reason));
      await new Promise((resolve) => setTimeout(resolve, 200));
      assert.equal(logs.filter((line) => line.includes("the last good ones stay")).length, 1);
      assert.equal(await metric("tls_reload_failures_total"), 1);

      for (const [name, content] of Object.entries(contents(second!))) directory.write(name, content);
      await eventually(() => inForce(second!));
      await eventually(() => assert.match(detail(), /^valid until \S+$/));
    });
  }

  it("stay when their files are gone, and are well when they are back", async () => {
    swapFiles(directory, contents(first!));
    start(50);
    rmSync(directory.file("..data"));
    await eventually(() => assert.match(detail(), /tls\.crt cannot be read \(ENOENT\)/));
    inForce(first!);
    swapFiles(directory, contents(first!));
    await eventually(() => assert.match(detail(), /^valid until \S+$/));
    assert.equal(await metric("tls_reload_failures_total"), 1);
  });

  it("are told of, and end readiness, once they have expired", async () => {
    swapFiles(directory, contents(expired));
    start(50);
    assert.equal(readiness.ready, false);
    assert.match(detail(), /^the certificate expired at 20\S+Z$/);
    assert.match(logs.join(""), /"the certificate in force is not valid"/);
    swapFiles(directory, contents(second!));
    await eventually(() => assert.equal(readiness.ready, true));
  });
});

describe("certificates at the start", () => {
  const directory = createCertificateDirectory();
  after(directory.remove);
  directory.write("tls.crt", first!.cert);
  directory.write("tls.key", first!.key);

  const load = (cert: string, key: string): void =>
    void loadCertificates({ cert: directory.file(cert), key: directory.file(key) });

  it("must be there, and must not be locked", () => {
    assert.throws(() => load("none.crt", "tls.key"), { name: "CertificateError", message: /none\.crt cannot be read/ });
    const locked = execFileSync("openssl", [
      "pkey",
      "-aes256",
      "-passout",
      "pass:word",
      "-in",
      directory.file("tls.key"),
    ]);
    directory.write("locked.key", locked.toString());
    assert.throws(() => load("tls.crt", "locked.key"), /locked\.key holds no private key that can be read/);
  });

  it("may be given the wrong way round without the key being told", () => {
    assert.throws(
      () => load("tls.key", "tls.crt"),
      (error: Error) => {
        assert.match(error.message, /tls\.key holds no certificate in PEM/);
        assert.ok(!error.message.includes("PRIVATE"));
        return true;
      },
    );
  });
});
