/**
 * What not every platform has, and what each entry of the package therefore brings for its own: `index.node.ts` what is
 * Node's, `index.ts` what is the browsers'. Nothing is sniffed for, since a bundler would follow the import and fail.
 */
export interface Platform {
  /**
   * Starts the program of the watchdog's worker, which must not keep the process alive.
   *
   * @throws what the platform throws
   */
  readonly startWatchdog?: (events: WorkerEvents) => PlatformWorker;
  /** The channel of this name, always the same one. */
  readonly diagnosticsChannel?: (name: string) => DiagnosticsChannel;
}

/** What a worker's owner is told. */
export interface WorkerEvents {
  /** It has been given its orders and works. */
  ready(): void;
  /** It could not be started, or has ended by itself. */
  failed(reason: string): void;
}

/** A worker, as its owner sees it. */
export interface PlatformWorker {
  post(message: unknown, transfer?: readonly unknown[]): void;
  /** Ends it; nothing is told any more. */
  end(): void;
}

/** A channel of `node:diagnostics_channel`. */
export interface DiagnosticsChannel {
  readonly hasSubscribers: boolean;
  publish(message: unknown): void;
}
