/** What the load generator is to do. */
export interface LoadJob {
  readonly port: number;
  /** For example `/gatehouse.policy.v1.PolicyService/Evaluate`. */
  readonly path: string;
  /** The encoded request in Base64. */
  readonly message: string;
  /** Calls a second, evenly spread over time and over the clients. */
  readonly rate: number;
  readonly seconds: number;
  /** Load before what is counted. */
  readonly warmUpSeconds: number;
  /** Each with a connection of its own. */
  readonly clients: number;
  /** When a caller gives up, from when the call was due. */
  readonly deadlineMs: number;
  /** Whether each client finds out how many calls in flight the server can bear, and holds back the rest. */
  readonly adaptive: boolean;
}

/** Latency in milliseconds by quantile. */
export interface Latency {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** What became of the calls. */
export interface LoadResult {
  /** Calls that were due. */
  readonly offered: number;
  /** Answered before their deadline. */
  readonly answered: number;
  /** Refused by the server. */
  readonly refused: number;
  /** Not made: held back by a client that limits itself. */
  readonly heldBack: number;
  /** Neither answered nor refused by their deadline. */
  readonly expired: number;
  /** Of the answered ones, from when each was due. */
  readonly latency: Latency;
  readonly answeredPerSecond: number;
  /** Mean time in milliseconds by which calls were sent late: what the generator itself adds. */
  readonly lateMs: number;
}
