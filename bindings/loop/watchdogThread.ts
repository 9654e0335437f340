import { messageOf } from "../arguments.js";
import type { Platform, PlatformWorker } from "../platform.js";
import { Heartbeat } from "./heartbeat.js";
import type { SentinelOrders } from "./sentinel.js";

/**
 * How the watchdog's worker does: `"starting"` until it watches; `"unavailable"` if the platform has none, refuses it, or it has
 * failed, for the reason that a line on the console gives; `"closed"` with its loop.
 */
export type WatchdogState = "starting" | "watching" | "unavailable" | "closed";

/**
 * A worker that watches the loop's heartbeat, and reports a handler while it still blocks the loop's thread.
 *
 * It needs memory that threads share: Node has it, and pages that are cross-origin isolated. Where there is none the loop goes
 * on without, and one line on the console says why. It keeps no process alive, and ends with {@link WatchdogThread.close}.
 */
export class WatchdogThread {
  /** What the loop writes, event by event; undefined if there is nobody to read it. */
  readonly heartbeat: Heartbeat | undefined;
  #state: WatchdogState = "starting";
  #worker: PlatformWorker | undefined;
  readonly #warn: (message: string) => void;

  /**
   * @param orders what to report, and how often; a `port` is transferred, and of no use to the caller from here on
   * @param warn told once, if there is no worker or it fails
   */
  constructor(
    platform: Platform | undefined,
    orders: Omit<SentinelOrders, "buffer">,
    warn: (message: string) => void = warnOnConsole,
  ) {
    this.#warn = warn;
    const obstacle = obstacleTo(platform);
    if (obstacle !== undefined) {
      this.#fail(obstacle);
      return;
    }
    try {
      const heartbeat = new Heartbeat();
      this.#worker = platform!.startWatchdog!({
        ready: () => {
          if (this.#state === "starting") this.#state = "watching";
        },
        failed: (reason) => this.#fail(reason),
      });
      const { port } = orders;
      this.#worker.post({ ...orders, buffer: heartbeat.buffer }, port === undefined ? [] : [port]);
      this.heartbeat = heartbeat;
    } catch (error) {
      this.#fail(messageOf(error));
    }
  }

  get state(): WatchdogState {
    return this.#state;
  }

  /** Tells the worker what the kind of this number is called, from 0. */
  declare(index: number, name: string): void {
    this.#worker?.post({ index, name });
  }

  /** Ends the worker. A second call does nothing. */
  close(): void {
    this.#worker?.end();
    this.#worker = undefined;
    if (this.#state !== "unavailable") this.#state = "closed";
  }

  #fail(reason: string): void {
    if (this.#state === "unavailable" || this.#state === "closed") return;
    this.#state = "unavailable";
    this.#worker?.end();
    this.#worker = undefined;
    this.#warn(
      `tidemark: the watchdog's worker is unavailable, so slow handlers are told of when they return: ${reason}`,
    );
  }
}

/** What stands in the way of a worker, if something does. */
function obstacleTo(platform: Platform | undefined): string | undefined {
  if (platform?.startWatchdog === undefined) {
    return "this entry of the package has none, nor has a runtime that it did not make";
  }
  if (typeof SharedArrayBuffer === "undefined" || globalThis.crossOriginIsolated === false) {
    return "there is no shared memory; a page must be cross-origin isolated, by its headers COOP and COEP";
  }
  return undefined;
}

function warnOnConsole(message: string): void {
  console.warn(message);
}
