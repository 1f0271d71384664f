import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import {
  ServerReflection,
  type ServerReflectionRequestSchema,
  type ServerReflectionResponse,
} from "../../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { startTestHost, type TestHost } from "./testing/test-host.ts";

type Question = MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"] & {};

for (const version of [ServerReflection, ServerReflectionAlpha]) {
  describe(version.typeName, () => {
    let host: TestHost;
    before(async () => {
      host = await startTestHost();
    });
    after(() => host.stop());

    async function ask(...questions: Question[]): Promise<ServerReflectionResponse["messageResponse"][]> {
      // Both versions have the same messages but for their package.
      const client = createClient(
        version as typeof ServerReflection,
        createGrpcTransport({ baseUrl: `http://127.0.0.1:${host.grpcPort}` }),
      );
      async function* requests(): AsyncGenerator<MessageInitShape<typeof ServerReflectionRequestSchema>> {
        for (const messageRequest of questions) yield { host: "here", messageRequest };
      }
      const answers: ServerReflectionResponse[] = [];
      for await (const answer of client.serverReflectionInfo(requests())) answers.push(answer);
      for (const [index, answer] of answers.entries()) {
        assert.equal(answer.validHost, "here");
        assert.equal(answer.originalRequest?.messageRequest.case, questions[index]?.case);
      }
      return answers.map((answer) => answer.messageResponse);
    }

    it("lists the services", async () => {
      const [answer] = await ask({ case: "listServices", value: "" });
      assert.ok(answer?.case === "listServicesResponse");
      assert.deepEqual(answer.value.service.map((service) => service.name).sort(), [
        "gatehouse.policy.v1.PolicyAdminService",
        "gatehouse.policy.v1.PolicyService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
      ]);
    });

    it("gives the file of a service, a method, a message, a field and a name, with all that it imports", async () => {
      const answers = await ask(
        { case: "fileContainingSymbol", value: "gatehouse.policy.v1.PolicyService" },
        { case: "fileContainingSymbol", value: "gatehouse.policy.v1.PolicyService.Evaluate" },
        { case: "fileContainingSymbol", value: "gatehouse.policy.v1.EvaluateRequest" },
        { case: "fileContainingSymbol", value: "gatehouse.policy.v1.EvaluateRequest.principal" },
        { case: "fileByFilename", value: "gatehouse/policy/v1/policy_service.proto" },
      );
      for (const answer of answers) {
        assert.ok(answer.case === "fileDescriptorResponse");
        const file = answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
        assert.equal(file[0]?.name, "gatehouse/policy/v1/policy_service.proto");
        assert.deepEqual(
          file[0].service.map((service) => service.name),
          ["PolicyService"],
        );
        const names = new Set(file.map(({ name }) => name));
        for (const { dependency } of file) for (const name of dependency) assert.ok(names.has(name), name);
      }
    });

    it("knows extensions", async () => {
      const fieldOptions = "google.protobuf.FieldOptions";
      const [numbers, file] = await ask(
        { case: "allExtensionNumbersOfType", value: fieldOptions },
        { case: "fileContainingExtension", value: { containingType: fieldOptions, extensionNumber: 1159 } },
      );
      assert.ok(numbers?.case === "allExtensionNumbersResponse");
      assert.deepEqual(numbers.value.extensionNumber.includes(1159), true);
      assert.equal(file?.case, "fileDescriptorResponse");
    });

    it("answers NOT_FOUND for what it has not, and goes on", async () => {
      const answers = await ask(
        { case: "fileContainingSymbol", value: "nothing.Nothing" },
        { case: "fileContainingSymbol", value: "" },
        { case: "fileByFilename", value: "nothing.proto" },
        { case: "allExtensionNumbersOfType", value: "nothing.Nothing" },
        { case: "fileContainingExtension", value: { containingType: "nothing.Nothing", extensionNumber: 1 } },
      );
      assert.equal(answers.length, 5);
      for (const answer of answers) {
        assert.ok(answer.case === "errorResponse");
        assert.equal(answer.value.errorCode, 5);
      }
    });
  });
}
