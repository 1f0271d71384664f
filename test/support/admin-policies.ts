import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const policies = `
@id("gatehouse-admins")
permit (principal, action, resource == Gatehouse::Service::"auth")
when { principal has roles && principal.roles.contains("gatehouse-admin") };

@id("gatehouse-viewers")
permit (
  principal,
  action in [
    Gatehouse::Action::"GetUser",
    Gatehouse::Action::"ListUsers",
    Gatehouse::Action::"ListUserSessions",
    Gatehouse::Action::"ListApiKeys"
  ],
  resource == Gatehouse::Service::"auth"
)
when { principal has roles && principal.roles.contains("gatehouse-viewer") };
`;

/** Makes a policy directory: that of the demo, and policies for admin calls. */
export function adminPolicyDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "gatehouse-policies-"));
  cpSync("policies/documents", directory, { recursive: true });
  writeFileSync(join(directory, "gatehouse.cedar"), policies);
  // Cedar lets no namespace have a type of the root's name, which `User` would be.
  rmSync(join(directory, "schema.cedarschema"));
  return directory;
}
