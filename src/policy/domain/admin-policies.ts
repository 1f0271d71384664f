import { createEngine } from "../cedar/engine.ts";
import { createEntityStore } from "../cedar/entity-store.ts";
import { createPolicySet } from "../cedar/policy-set.ts";
import type { EntityUid } from "../cedar/types.ts";
import type { CedarControl } from "../control/cedar-control.ts";
import type { Snapshot } from "./snapshot.ts";

/** The type of the actions that the built-in policies decide on. No other policies do. */
export const adminActionType = "Gatehouse::Action";

/** Whether a request is decided by the built-in policies. */
export function isAdminAction(action: { readonly type: string } | undefined): boolean {
  return action?.type === adminActionType;
}

/**
 * Who may administer. Each RPC is an action of its own name on the service that has it; those that change nothing are in the
 * group `Read`. The principal comes with its roles, as the service that verified it knows them.
 */
const adminPolicies = `
@id("gatehouse-admin-does-everything")
permit (principal, action in Gatehouse::Action::"All", resource is Gatehouse::Service)
when { principal has roles && principal.roles.contains("gatehouse-admin") };

@id("gatehouse-viewer-reads")
permit (principal, action in Gatehouse::Action::"Read", resource is Gatehouse::Service)
when { principal has roles && principal.roles.contains("gatehouse-viewer") };
`;

/** An RPC that the built-in policies decide on. */
export interface AdminAction {
  readonly name: string;
  /** Whether it changes nothing. */
  readonly reads: boolean;
}

const action = (id: string): EntityUid => ({ type: adminActionType, id });

/** Compiles the built-in policies. */
export async function loadAdminPolicies(control: CedarControl, actions: readonly AdminAction[]): Promise<Snapshot> {
  const { policySet } = await control.parsePolicies(adminPolicies);
  const entities = createEntityStore([
    { uid: action("All") },
    { uid: action("Read"), parents: [action("All")] },
    ...actions.map(({ name, reads }) => ({ uid: action(name), parents: [action(reads ? "Read" : "All")] })),
  ]);
  return {
    revision: "built-in",
    engine: createEngine({ policySet: createPolicySet(policySet), entities }),
    schema: undefined,
    schemaJson: "",
    requestValidator: undefined,
    own: entities,
  };
}
