import { runService } from "../shared/lifecycle/run-service.ts";
import { createPolicyApp } from "./app.ts";
import { policyFields } from "./config.ts";

await runService("policy-service", policyFields, createPolicyApp);
