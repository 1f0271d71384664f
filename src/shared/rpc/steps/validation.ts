import type { DescMessage, Message } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator, type Violation } from "@bufbuild/protovalidate";
import type { FieldViolation } from "../../service-error.ts";

/** Violations that one answer reports at most. */
const maxViolations = 20;

const valid: readonly FieldViolation[] = [];
const validator = createValidator();

/** Makes a validator of a message's `buf.validate` annotations. */
export function contractValidator(schema: DescMessage): (message: Message) => readonly FieldViolation[] {
  return (message) => {
    const result = validator.validate(schema, message as never);
    if (result.kind === "valid") return valid;
    if (result.kind === "error") throw result.error;
    return result.violations.slice(0, maxViolations).map(toFieldViolation);
  };
}

function toFieldViolation(violation: Violation): FieldViolation {
  return { field: pathToString(violation.field), description: violation.message };
}
