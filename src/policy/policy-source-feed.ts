/** Keeps the active policies those of their source. */
export interface PolicySourceFeed {
  /** Fulfilled once the source has been looked at, whether or not anything could be loaded. */
  readonly firstLoad: Promise<void>;
  close(): void;
}
