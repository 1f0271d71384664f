/** Ports of a running demo. */
export interface DemoPorts {
  readonly authGrpcPort: number;
  readonly authHttpPort: number;
  readonly policyGrpcPort: number;
  readonly policyHttpPort: number;
}

/** What `npm start` prints once both services are ready: addresses, and lines that work when pasted. */
export function demoBanner(ports: DemoPorts): string {
  const login = `{"password":{"username":"alice","password":"wonderland"}}`;
  const evaluate = (user: string): string =>
    `{"principal":{"type":"User","id":"${user}"},"action":{"type":"Action","id":"edit"},"resource":{"type":"Document","id":"handbook"}}`;
  const auth = `localhost:${ports.authGrpcPort}`;
  const policy = `localhost:${ports.policyGrpcPort}`;
  const json = "-H 'content-type: application/json'";
  return `
Gatehouse is running with its demo profile, on loopback only. Ctrl-C stops it.

  auth-service    gRPC ${auth}   HTTP http://localhost:${ports.authHttpPort}
  policy-service  gRPC ${policy}   HTTP http://localhost:${ports.policyHttpPort}
  users           alice / wonderland (editor), bob / builder (viewer), admin / gatehouse (gatehouse-admin)

With grpcurl:

  grpcurl -plaintext ${auth} list
  grpcurl -plaintext -d '${login}' ${auth} gatehouse.auth.v1.AuthService/Authenticate
  grpcurl -plaintext -d '${evaluate("alice")}' ${policy} gatehouse.policy.v1.PolicyService/Evaluate
  grpcurl -plaintext -d '${evaluate("bob")}' ${policy} gatehouse.policy.v1.PolicyService/Evaluate

With curl:

  curl -s ${json} -d '${login}' http://localhost:${ports.authHttpPort}/gatehouse.auth.v1.AuthService/Authenticate
  curl -s ${json} -d '${evaluate("alice")}' http://localhost:${ports.policyHttpPort}/gatehouse.policy.v1.PolicyService/Evaluate

May alice edit the handbook? One call from her session token to a decision:

  TOKEN=$(curl -s ${json} -d '${login}' http://localhost:${ports.authHttpPort}/gatehouse.auth.v1.AuthService/Authenticate | sed 's/.*"sessionToken":"\\([^"]*\\)".*/\\1/')
  curl -s ${json} -d '{"bearerToken":"'$TOKEN'","action":{"type":"Action","id":"edit"},"resource":{"type":"Document","id":"handbook"}}' http://localhost:${ports.authHttpPort}/gatehouse.auth.v1.AuthService/Authorize

May her request pass? What Envoy would ask before it lets GET /docs/handbook through to a workload:

  grpcurl -plaintext -d '{"attributes":{"request":{"http":{"method":"GET","host":"docs.example.com","path":"/docs/handbook","headers":{"authorization":"Bearer '$TOKEN'"}}}}}' ${auth} envoy.service.auth.v3.Authorization/Check

`;
}
