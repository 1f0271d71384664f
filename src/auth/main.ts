import { runService } from "../shared/lifecycle/run-service.ts";
import { createAuthApp } from "./app.ts";
import { authFields } from "./config.ts";

await runService("auth-service", authFields, createAuthApp);
