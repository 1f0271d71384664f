import { type Command, CommandError } from "../command.ts";
import { diagnose } from "../doctor/diagnose.ts";
import { type Finding, findingsText } from "../doctor/finding.ts";
import { judgeManifests } from "../doctor/manifests.ts";
import { judgeRedis } from "../doctor/redis.ts";
import { listOf } from "../option-values.ts";
import { jsonOption, tlsOf, tlsOptions } from "../service-client.ts";

/** How long each question may take, in milliseconds. */
const timeoutMs = 3_000;

/** Checks a running install. */
export const doctor: Command = {
  name: "doctor",
  summary: "Check a running install, and say what is wrong and how to mend it.",
  details: [
    "A PLACE is HOST[:GRPC_PORT[/HTTP_PORT]]; of a name, every address is looked at. Without any, both services on localhost.",
    "Reads from the environment: GATEHOUSE_TOKEN, an admin's credential, to ask PolicyAdminService for revisions (else the metrics are read); REDIS_URL, to look at Redis.",
    "Exit code 1 when there is a problem.",
  ].join("\n"),
  arguments: [],
  options: {
    auth: {
      type: "string",
      multiple: true,
      placeholder: "PLACE",
      description: "auth-service; may be given several times.",
    },
    policy: {
      type: "string",
      multiple: true,
      placeholder: "PLACE",
      description: "policy-service; may be given several times.",
    },
    ...tlsOptions,
    manifests: {
      type: "string",
      placeholder: "DIR",
      description: "Check YAML manifests too, plain or rendered. Alone, only those.",
    },
    ...jsonOption,
  },
  async run({ values, out }) {
    const [auth, policy] = [listOf(values, "auth"), listOf(values, "policy")];
    const directory = values.manifests === undefined ? undefined : String(values.manifests);
    const redisUrl = process.env.REDIS_URL ?? "";
    const token = process.env.GATEHOUSE_TOKEN ?? "";
    if (token !== "" && !/^[\x21-\x7e]+$/.test(token)) {
      throw new CommandError("GATEHOUSE_TOKEN is no token: it has spaces or the like.");
    }
    const tls = tlsOf(values);
    const named = auth.length > 0 || policy.length > 0;
    const findings: Finding[] = [];
    if (named || directory === undefined) {
      const places = named ? { auth, policy } : { auth: ["localhost"], policy: ["localhost"] };
      findings.push(...(await diagnose(places, { timeoutMs, tls }, token === "" ? undefined : token)));
      if (redisUrl !== "") findings.push(...(await judgeRedis(redisUrl, timeoutMs)));
      else {
        const remedy = "Set REDIS_URL to look at it from here.";
        findings.push({ level: "skipped", check: "redis", subject: "redis", message: "not looked at", remedy });
      }
    }
    if (directory !== undefined) findings.push(...(await judgeManifests(directory)));
    const healthy = findings.every(({ level }) => level !== "problem");
    out(values.json ? JSON.stringify({ healthy, findings }, undefined, 2) : findingsText(findings));
    return healthy ? 0 : 1;
  },
};
