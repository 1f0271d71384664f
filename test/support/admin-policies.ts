import { appendFileSync, cpSync, mkdtempSync, writeFileSync } from "node:fs";
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

const schema = `
namespace Gatehouse {
  entity User, Client = { roles: Set<String> };
  entity Service;
  action CreateUser, GetUser, ListUsers, UpdateUser, SetPassword, DeleteUser, ListUserSessions, CreateApiKey, ListApiKeys,
    RevokeApiKey appliesTo { principal: [User, Client], resource: Service, context: {} };
}
`;

/** Makes a policy directory: that of the demo, and policies for admin calls. */
export function adminPolicyDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "gatehouse-policies-"));
  cpSync("policies/documents", directory, { recursive: true });
  writeFileSync(join(directory, "gatehouse.cedar"), policies);
  appendFileSync(join(directory, "schema.cedarschema"), schema);
  return directory;
}
