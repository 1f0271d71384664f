import type { MessageInitShape } from "@bufbuild/protobuf";
import { Decision, DecisionReason, Effect, PolicyOutcome } from "../../gen/gatehouse/policy/v1/decision_pb.ts";
import type { DiagnosticsSchema } from "../../gen/gatehouse/policy/v1/decision_pb.ts";
import type { Entity, EntityUid } from "../../gen/gatehouse/policy/v1/entity_pb.ts";
import type { EvaluateRequest, EvaluateResponseSchema } from "../../gen/gatehouse/policy/v1/policy_service_pb.ts";
import { type FieldViolation, invalidArgument } from "../shared/service-error.ts";
import type { CedarJsonObject, EntityJson, EntityUid as Uid } from "./cedar/types.ts";
import type { Evaluation, Explanation } from "./cedar/evaluation.ts";
import type { Query } from "./domain/query.ts";
