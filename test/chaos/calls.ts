/** Every kind of call that the workload makes, with what it reads and writes of the history's registers. */
import { Decision } from "../../gen/gatehouse/policy/v1/decision_pb.ts";
import { asAdmin } from "../support/policy-replica.ts";
import type { AuthClients, PolicyClients } from "./clients.ts";
import type { Access } from "./history.ts";
import type { Recorded, Recorder } from "./recorder.ts";

/** Something to be authenticated by, and the register that says whether it is good. */
export interface Credential {
  readonly register: string;
  readonly kind: "bearerToken" | "apiKey";
  readonly secret: string;
  /** Name of its user. */
  readonly user: string;
}

export interface SignedIn {
  readonly sessionId: string;
  readonly session: Credential;
  /** The latest access token. */
  readonly token: Credential;
  /** All of them, which end with the session. */
  readonly tokens: readonly Credential[];
  readonly refreshToken: string;
}

export type Variant = "open" | "closed";

const grants = (register: string): Access => ({ register, grants: true });
const ends = (register: string): Access => ({ register, grants: false });

export const userRegister = (name: string): string => `user:${name}`;
export const entityRegister = (name: string): string => `entity:${name}`;
export const revisionRegister = (id: string): string => `revision:${id}`;
/** Whether the active revision lets everybody read. */
export const policyRegister = "policy:read";
export const adminRegister = "key:admin";

const document = { type: "Document", id: "handbook" };
const actionOf = (what: "view" | "read") => ({ type: "Action", id: what });
const groupOf = (what: "view" | "read", user: string): string =>
  what === "view" ? entityRegister(user) : policyRegister;
const entityOf = (name: string) => ({ type: "User", id: name });

/** A bundle that lets members view, and, when open, everybody read. `mark` makes it one of its kind. */
function bundleOf(variant: Variant, mark: string) {
  const effect = variant === "open" ? "permit" : "forbid";
  const text = `// ${mark}
@id("members") permit (principal in Group::"members", action == Action::"view", resource);
@id("reading") ${effect} (principal, action == Action::"read", resource);
`;
  return { files: [{ name: "policies.cedar", text }] };
}

export interface Calls {
  createUser(at: AuthClients, name: string, password: string): Promise<Recorded<unknown>>;
  getUser(at: AuthClients, name: string): Promise<Recorded<unknown>>;
  deleteUser(at: AuthClients, name: string, also: readonly Credential[]): Promise<Recorded<unknown>>;
  signIn(at: AuthClients, name: string, password: string): Promise<SignedIn | undefined>;
  authenticate(at: AuthClients, credential: Credential): Promise<Recorded<unknown>>;
  authorize(at: AuthClients, credential: Credential, what: "view" | "read"): Promise<Recorded<{ allowed: boolean }>>;
  introspect(at: AuthClients, credential: Credential): Promise<Recorded<unknown>>;
  /** Answers the new tokens, or undefined when the old one must not be used again. */
  refresh(at: AuthClients, signedIn: SignedIn): Promise<SignedIn | undefined>;
  createKey(at: AuthClients, user: string): Promise<(Credential & { readonly id: string }) | undefined>;
  revokeKey(at: AuthClients, id: string, credential: Credential): Promise<Recorded<unknown>>;
  revokeToken(at: AuthClients, credential: Credential): Promise<Recorded<unknown>>;
  revokeSession(at: AuthClients, sessionId: string, dead: readonly Credential[]): Promise<Recorded<unknown>>;
  revokeUser(at: AuthClients, user: string, dead: readonly Credential[]): Promise<Recorded<unknown>>;
  evaluate(at: PolicyClients, user: string, what: "view" | "read", how: "unary" | "stream"): Promise<Recorded<unknown>>;
  putEntity(at: PolicyClients, user: string): Promise<Recorded<unknown>>;
  deleteEntity(at: PolicyClients, user: string): Promise<Recorded<unknown>>;
  getEntity(at: PolicyClients, user: string): Promise<Recorded<unknown>>;
  publish(at: PolicyClients, variant: Variant, mark: string, activate: boolean): Promise<string | undefined>;
  activate(at: PolicyClients, revision: string, variant: Variant): Promise<Recorded<unknown>>;
  rollback(at: PolicyClients): Promise<Recorded<unknown>>;
  getRevision(at: PolicyClients, revision: string): Promise<Recorded<unknown>>;
}

export function createCalls(recorder: Recorder, adminCredential: string): Calls {
  const admin = { headers: { authorization: `Bearer ${adminCredential}` } };
  const variants = new Map<string, Variant>();
  let made = 0;
  const nextRegister = (kind: string): string => `${kind}:${++made}`;

  const adminRefused = ({ code }: { readonly code: string }): Access[] =>
    code === "UNAUTHENTICATED" || code === "PERMISSION_DENIED" ? [ends(adminRegister)] : [];
  const deny =
    (register: string) =>
    ({ code }: { readonly code: string }): Access[] =>
      code === "UNAUTHENTICATED" ? [ends(register)] : [];
  const absent =
    (register: string) =>
    (error: { readonly code: string }): Access[] =>
      error.code === "NOT_FOUND" ? [ends(register)] : adminRefused(error);
  const wire = ({ kind, secret }: Credential) => ({ case: kind, value: secret }) as const;

  function credential(kind: Credential["kind"], register: string, user: string, secret: string): Credential {
    return { kind, register, user, secret };
  }

  return {
    createUser: (at, name, password) =>
      recorder.call({
        name: "CreateUser",
        replica: at.name,
        send: (deadline) => at.identity.createUser({ name, password }, { ...admin, deadline }),
        writes: [grants(userRegister(name))],
        refused: adminRefused,
      }),
    getUser: (at, name) =>
      recorder.call({
        name: "GetUser",
        replica: at.name,
        send: (deadline) => at.identity.getUser({ name }, { ...admin, deadline }),
        answered: () => ({ reads: [grants(userRegister(name))] }),
        refused: absent(userRegister(name)),
      }),
    deleteUser: (at, name, also) =>
      recorder.call({
        name: "DeleteUser",
        replica: at.name,
        send: (deadline) => at.identity.deleteUser({ name }, { ...admin, deadline }),
        writes: [ends(userRegister(name)), ...also.map(({ register }) => ends(register))],
        refused: absent(userRegister(name)),
      }),
    async signIn(at, name, password) {
      const [sessionRegister, tokenRegister] = [nextRegister("session"), nextRegister("token")];
      const { answer } = await recorder.call({
        name: "Authenticate password",
        replica: at.name,
        send: (deadline) =>
          at.auth.authenticate(
            { credential: { case: "password", value: { username: name, password } }, issueTokens: true },
            { deadline },
          ),
        answered: () => ({
          reads: [grants(userRegister(name))],
          writes: [grants(sessionRegister), grants(tokenRegister)],
        }),
        refused: deny(userRegister(name)),
      });
      if (answer?.session === undefined || answer.tokens === undefined) return undefined;
      const token = credential("bearerToken", tokenRegister, name, answer.tokens.accessToken);
      return {
        sessionId: answer.session.id,
        session: credential("bearerToken", sessionRegister, name, answer.sessionToken),
        token,
        tokens: [token],
        refreshToken: answer.tokens.refreshToken,
      };
    },
    authenticate: (at, presented) =>
      recorder.call({
        name: presented.kind === "apiKey" ? "Authenticate key" : "Authenticate token",
        replica: at.name,
        send: (deadline) => at.auth.authenticate({ credential: wire(presented) }, { deadline }),
        answered: () => ({ reads: [grants(presented.register)] }),
        refused: deny(presented.register),
      }),
    authorize: (at, presented, what) =>
      recorder.call({
        name: "Authorize",
        replica: at.name,
        decidedBy: at.decidedBy,
        send: (deadline) =>
          at.auth.authorize({ credential: wire(presented), action: actionOf(what), resource: document }, { deadline }),
        answered: ({ allowed }) => ({
          reads: [grants(presented.register), { register: groupOf(what, presented.user), grants: allowed }],
        }),
        refused: deny(presented.register),
      }),
    introspect: (at, presented) =>
      recorder.call({
        name: "Introspect",
        replica: at.name,
        send: (deadline) => at.auth.introspect({ token: presented.secret }, { deadline }),
        answered: ({ active }) => ({ reads: [{ register: presented.register, grants: active }] }),
      }),
    async refresh(at, signedIn) {
      const { session, refreshToken } = signedIn;
      const register = nextRegister("token");
      const { answer } = await recorder.call({
        name: "Refresh",
        replica: at.name,
        send: (deadline) => at.auth.refresh({ refreshToken }, { deadline }),
        answered: () => ({ reads: [grants(session.register)], writes: [grants(register)] }),
        refused: deny(session.register),
      });
      if (answer?.tokens === undefined) return undefined;
      const token = credential("bearerToken", register, session.user, answer.tokens.accessToken);
      return { ...signedIn, token, tokens: [...signedIn.tokens, token], refreshToken: answer.tokens.refreshToken };
    },
    async createKey(at, user) {
      const register = nextRegister("key");
      const { answer } = await recorder.call({
        name: "CreateApiKey",
        replica: at.name,
        send: (deadline) => at.identity.createApiKey({ user, displayName: "chaos" }, { ...admin, deadline }),
        answered: () => ({ writes: [grants(register)] }),
        refused: absent(userRegister(user)),
      });
      return answer && { ...credential("apiKey", register, user, answer.key), id: answer.apiKey?.id ?? "" };
    },
    revokeKey: (at, id, key) =>
      recorder.call({
        name: "RevokeApiKey",
        replica: at.name,
        send: (deadline) => at.identity.revokeApiKey({ id }, { ...admin, deadline }),
        writes: [ends(key.register)],
        refused: adminRefused,
      }),
    revokeToken: (at, token) =>
      recorder.call({
        name: "Revoke token",
        replica: at.name,
        send: (deadline) => at.auth.revoke({ target: { case: "token", value: token.secret } }, { deadline }),
        writes: [ends(token.register)],
      }),
    revokeSession: (at, sessionId, dead) =>
      recorder.call({
        name: "Revoke session",
        replica: at.name,
        send: (deadline) => at.auth.revoke({ target: { case: "sessionId", value: sessionId } }, { ...admin, deadline }),
        writes: dead.map(({ register }) => ends(register)),
        refused: adminRefused,
      }),
    revokeUser: (at, user, dead) =>
      recorder.call({
        name: "Revoke user",
        replica: at.name,
        send: (deadline) => at.auth.revoke({ target: { case: "user", value: user } }, { ...admin, deadline }),
        writes: dead.map(({ register }) => ends(register)),
        refused: adminRefused,
      }),
    evaluate(at, user, what, how) {
      const question = { principal: entityOf(user), action: actionOf(what), resource: document };
      return recorder.call({
        name: how === "unary" ? "Evaluate" : "EvaluateStream",
        replica: at.name,
        send: (deadline) =>
          how === "unary" ? at.policy.evaluate(question, { deadline }) : at.decisions.evaluate(question, { deadline }),
        answered: ({ decision }: { readonly decision: Decision }) => ({
          reads: [{ register: groupOf(what, user), grants: decision === Decision.ALLOW }],
        }),
      });
    },
    putEntity: (at, user) =>
      recorder.call({
        name: "PutEntities",
        replica: at.name,
        send: (deadline) =>
          at.admin.putEntities(
            { entities: [{ uid: entityOf(user), parents: [{ type: "Group", id: "members" }] }] },
            { ...asAdmin, deadline },
          ),
        writes: [grants(entityRegister(user))],
      }),
    deleteEntity: (at, user) =>
      recorder.call({
        name: "DeleteEntities",
        replica: at.name,
        send: (deadline) => at.admin.deleteEntities({ uids: [entityOf(user)] }, { ...asAdmin, deadline }),
        writes: [ends(entityRegister(user))],
      }),
    getEntity: (at, user) =>
      recorder.call({
        name: "GetEntities",
        replica: at.name,
        send: (deadline) => at.admin.getEntities({ uids: [entityOf(user)] }, { ...asAdmin, deadline }),
        answered: ({ entities }) => ({ reads: [{ register: entityRegister(user), grants: entities.length > 0 }] }),
      }),
    async publish(at, variant, mark, activate) {
      const active: Access = { register: policyRegister, grants: variant === "open" };
      const { answer } = await recorder.call({
        name: "PublishPolicies",
        replica: at.name,
        send: (deadline) =>
          at.admin.publishPolicies({ bundle: bundleOf(variant, mark), activate }, { ...asAdmin, deadline }),
        writes: activate ? [active] : [],
        answered: ({ revision }) => ({ writes: [grants(revisionRegister(revision?.id ?? ""))] }),
      });
      const id = answer?.revision?.id;
      if (id !== undefined) variants.set(id, variant);
      return id;
    },
    activate: (at, revision, variant) =>
      recorder.call({
        name: "ActivateRevision",
        replica: at.name,
        send: (deadline) => at.admin.activateRevision({ revision }, { ...asAdmin, deadline }),
        writes: [{ register: policyRegister, grants: variant === "open" }],
        refused: ({ code }) => (code === "NOT_FOUND" ? [ends(revisionRegister(revision))] : []),
      }),
    rollback(at) {
      const either = [grants(policyRegister), ends(policyRegister)];
      return recorder.call({
        name: "Rollback",
        replica: at.name,
        send: (deadline) => at.admin.rollback({}, { ...asAdmin, deadline }),
        mayWrite: either,
        // One whose publication was never acknowledged is not known here.
        answered: ({ active }) => {
          const variant = variants.get(active);
          return {
            writes: variant === undefined ? either : [{ register: policyRegister, grants: variant === "open" }],
          };
        },
      });
    },
    getRevision: (at, revision) =>
      recorder.call({
        name: "GetRevision",
        replica: at.name,
        send: (deadline) => at.admin.getRevision({ revision }, { ...asAdmin, deadline }),
        answered: () => ({ reads: [grants(revisionRegister(revision))] }),
        refused: ({ code }) => (code === "NOT_FOUND" ? [ends(revisionRegister(revision))] : []),
      }),
  };
}
