/**
 * What a loop needs from the platform that runs it: a clock, a hop to the end of the platform's own queue, and a timer.
 *
 * A loop never touches globals itself, so a test that brings its own host decides every interleaving and every
 * millisecond.
 *
 * @example
 * let time = 0;
 * const hops: (() => void)[] = [];
 * const host: Host = { now: () => time, hop: (callback) => void hops.push(callback), after: () => () => {} };
 * const tested = createLoop(runtime, { host }); // hops.shift()?.() is its next turn
 */
export interface Host {
  /** Milliseconds since any fixed moment, never going backwards; fractions welcome. */
  now(): number;

  /**
   * Calls `callback` once, later, after what the platform has already queued (input, timers) has had its chance.
   * Must not call it before `hop` returns. A loop that it throws to stops with that error, as no turn will come.
   */
  hop(callback: () => void): void;

  /**
   * Calls `callback` once, after `milliseconds` at the earliest.
   *
   * @param keepsAlive false: waiting for this must not keep the process alive. A host that knows no such thing, as a page
   *   does not, leaves it unread
   * @returns a function that cancels it, and that does nothing once it has been called
   */
  after(milliseconds: number, callback: () => void, keepsAlive?: boolean): () => void;
}

/** The longest delay, in milliseconds, that host timers hold: 2^31 − 1; they fire at once for anything longer. */
export const LONGEST_DELAY = 2 ** 31 - 1;

interface TaskScheduler {
  postTask?(callback: () => void): Promise<unknown>;
}

/**
 * The host of the platform this code runs on. Holds nothing open: only a pending hop or timer keeps a process alive. For one with
 * another clock see {@link Timers.run}.
 */
export function platformHost(): Host {
  return {
    now: () => performance.now(),
    hop: platformHop(),
    after(milliseconds, callback, keepsAlive = true) {
      const timer: unknown = setTimeout(callback, milliseconds);
      if (!keepsAlive) (timer as { unref?(): void }).unref?.();
      return () => clearTimeout(timer as number);
    },
  };
}

/**
 * The cheapest hop that starves neither input nor timers.
 *
 * Chosen by what is there, not by the platform's name. `scheduler.yield` is passed over on purpose: its continuation
 * runs before other tasks of its priority, so a saturated loop would keep timers waiting; `postTask` queues behind them.
 */
function platformHop(): Host["hop"] {
  if (typeof setImmediate === "function") return setImmediate;

  const scheduler = (globalThis as { scheduler?: TaskScheduler }).scheduler;
  if (typeof scheduler?.postTask === "function") {
    return (callback) => void scheduler.postTask!(callback);
  }

  if (typeof MessageChannel === "function") return messageHop();
  return (callback) => void setTimeout(callback, 0);
}

/** Hops through a message to ourselves: each message runs the oldest callback that waits. */
function messageHop(): Host["hop"] {
  const waiting: (() => void)[] = [];
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => waiting.shift()?.();
  return (callback) => {
    waiting.push(callback);
    port2.postMessage(undefined);
  };
}
