import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import {
  AuthenticateRequestSchema,
  AuthorizeRequestSchema,
  AuthService,
} from "../../gen/gatehouse/auth/v1/auth_service_pb.ts";
