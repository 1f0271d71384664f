import {
  create,
  createRegistry,
  type DescFile,
  type MessageInitShape,
  type Registry,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import {
  ServerReflection,
  type ServerReflectionRequest,
  ServerReflectionResponseSchema,
} from "../../../gen/grpc/reflection/v1/reflection_pb.ts";
import {
  ServerReflection as ServerReflectionAlpha,
  ServerReflectionResponseSchema as ServerReflectionResponseAlphaSchema,
} from "../../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { statusCodes } from "../service-error.ts";
import { type ServedService, serve } from "./handler.ts";

type Request = ServerReflectionRequest["messageRequest"];
type Answer = MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"] & {};

/**
 * grpc.reflection.v1 and v1alpha (grpc/doc/server-reflection.md), answered from the generated descriptors. The two differ
 * in nothing but their package.
 */
export function reflectionServices(services: readonly ServedService[]): ServedService[] {
  const served = [...services.map((service) => service.descriptor), ServerReflection, ServerReflectionAlpha];
  const files = new Map<string, DescFile>();
  for (const descriptor of served) addWithDependencies(files, descriptor.file);
  const serviceNames = served.map((descriptor) => descriptor.typeName);
  const registry = createRegistry(...files.values());
  const answer = (request: Request): Answer => reflect(request, serviceNames, files, registry);

  return [
    serve(ServerReflection, {
      serverReflectionInfo(call) {
        call.onFrame((originalRequest) => {
          const messageResponse = answer(originalRequest.messageRequest);
          const { host: validHost } = originalRequest;
          const init = { validHost, originalRequest, messageResponse };
          if (!call.send(create(ServerReflectionResponseSchema, init))) call.pause();
        });
        call.onWritable(() => call.resume());
        call.onEnd(() => call.end());
      },
    }),
    serve(ServerReflectionAlpha, {
      serverReflectionInfo(call) {
        call.onFrame((originalRequest) => {
          const messageResponse = answer(originalRequest.messageRequest as Request);
          const { host: validHost } = originalRequest;
          const init = { validHost, originalRequest, messageResponse } as MessageInitShape<
            typeof ServerReflectionResponseAlphaSchema
          >;
          if (!call.send(create(ServerReflectionResponseAlphaSchema, init))) call.pause();
        });
        call.onWritable(() => call.resume());
        call.onEnd(() => call.end());
      },
    }),
  ];
}

function reflect(
  request: Request,
  serviceNames: readonly string[],
  files: ReadonlyMap<string, DescFile>,
  registry: Registry,
): Answer {
  switch (request.case) {
    case "listServices":
      return { case: "listServicesResponse", value: { service: serviceNames.map((name) => ({ name })) } };
    case "fileByFilename":
      return fileAnswer(files.get(request.value));
    case "fileContainingSymbol":
      return fileAnswer(fileOfSymbol(registry, request.value));
    case "fileContainingExtension":
      return fileAnswer(extensionsOf(registry, request.value.containingType).get(request.value.extensionNumber));
    case "allExtensionNumbersOfType": {
      const extensionNumber = [...extensionsOf(registry, request.value).keys()];
      if (extensionNumber.length === 0 && registry.getMessage(request.value) === undefined) return notFound();
      return { case: "allExtensionNumbersResponse", value: { baseTypeName: request.value, extensionNumber } };
    }
    default:
      return notFound();
  }
}

/** A file with all that it imports, so that a client needs to ask once. */
function fileAnswer(file: DescFile | undefined): Answer {
  if (file === undefined) return notFound();
  const closure = new Map<string, DescFile>();
  addWithDependencies(closure, file);
  const fileDescriptorProto = [...closure.values()].map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function notFound(): Answer {
  return { case: "errorResponse", value: { errorCode: statusCodes.NOT_FOUND, errorMessage: "not found" } };
}

function addWithDependencies(files: Map<string, DescFile>, file: DescFile): void {
  if (files.has(file.proto.name)) return;
  files.set(file.proto.name, file);
  for (const dependency of file.dependencies) addWithDependencies(files, dependency);
}

/** The file of a type or service, or of a member of one, such as `package.Service.Method`. */
function fileOfSymbol(registry: Registry, symbol: string): DescFile | undefined {
  const type = registry.get(symbol);
  if (type !== undefined) return type.file;
  const dot = symbol.lastIndexOf(".");
  const parent = registry.get(symbol.slice(0, dot));
  const name = symbol.slice(dot + 1);
  switch (parent?.kind) {
    case "service":
      return parent.methods.some((method) => method.name === name) ? parent.file : undefined;
    case "message":
      return [...parent.fields, ...parent.oneofs].some((member) => member.name === name) ? parent.file : undefined;
    default:
      return undefined;
  }
}

function extensionsOf(registry: Registry, typeName: string): Map<number, DescFile> {
  const extensions = [...registry].filter((type) => type.kind === "extension" && type.extendee.typeName === typeName);
  return new Map(extensions.map((type) => [type.kind === "extension" ? type.number : 0, type.file]));
}
