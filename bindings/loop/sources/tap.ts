/** What becomes of a stream that its source lets go of before it has ended: it is closed, or left as it is. */
export type StopPolicy = "close" | "leave";

/** Whom a tap tells what comes out of its stream. All may be called at any time once the tap is open, until it is closed. */
export interface Basin {
  /** A chunk has come, maybe while the tap was paused. */
  chunk(value: unknown): void;
  /** The stream has come to its end. */
  end(): void;
  /** The stream has failed, or was closed before its end. */
  fail(error: unknown): void;
  /** Calls back when the platform has had its chance. */
  hop(callback: () => void): void;
}

/**
 * What all kinds of streams are to a source.
 *
 *   new ──open──▶ flowing ⇄ paused ──close, or basin.end, or basin.fail──▶ closed
 *
 * A tap throws what its stream throws when it is opened, paused, resumed or closed; whoever has it sees to that.
 */
export interface Tap {
  /** Begins; chunks come from now on, or a little later. */
  open(basin: Basin): void;
  /** Where it cannot reach the stream, chunks go on coming. */
  pause(): void;
  resume(): void;
  /**
   * Lets go of the stream, in any state; nothing is told from here on. Does nothing the second time.
   *
   * @param code why, as a WebSocket would say it: 1000 for nothing unusual
   */
  close(policy: StopPolicy, code: number): void;
}
