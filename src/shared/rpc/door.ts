/** One port of a host. */
export interface Door {
  /** Listens and answers the port. Throws ListenError. */
  start(): Promise<number>;
  /** Takes no new connections or calls, lets those in flight finish, and after `graceMs` ends them. */
  drain(graceMs: number): Promise<void>;
}
