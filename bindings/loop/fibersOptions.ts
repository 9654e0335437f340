import { FramePool, type FrameSize } from "../allocators/framePool.js";
import { assertFunction, assertOptions, checkFlag, describe, type NamesOf } from "../arguments.js";
import { InvalidArgumentError } from "../errors.js";
import type { Fiber } from "./fiber.js";
import type { Host } from "./host.js";
import { checkHost } from "./options.js";
import { checkTimers, timersOf, type WaitTimers } from "./waiting.js";

/** Options of `createFibers()`; all of them may be left out. */
export interface FibersOptions {
  /** Where frames come from; without it, no fiber can have one. It stays the caller's own. */
  readonly frames?: FramePool | undefined;
  /** Clock, hop and timer; those of the platform if not given. */
  readonly host?: Host | undefined;
  /** The timers of fibers' waits; the host's if not given. */
  readonly timers?: WaitTimers | undefined;
  /**
   * Told of each error that has ended a fiber, when nobody had joined it. Without it, and if it throws itself, the error goes
   * to the platform's handler of rejections that nobody handles. The other fibers go on.
   */
  readonly onError?: ((this: void, error: unknown, fiber: Fiber) => unknown) | undefined;
  /**
   * For a scheduler that is driven: called when a fiber becomes ready and none was. Whoever drives it calls `run()` then, later,
   * and goes on for as long as `hasReady`; see `fibers.run()`. Without it the scheduler drives itself, by hops of its host.
   */
  readonly wake?: ((this: void) => void) | undefined;
  /** Whether each fiber gets a context and a frame object of its own, so that one that was kept is found out. */
  readonly debug?: boolean | undefined;
}

/** The options of `fibers.spawn()`. Unknown ones are not looked for: that would take a third of what spawning does. */
export interface SpawnOptions {
  /** The size of the frame. None if not given. */
  readonly frame?: FrameSize | undefined;
  /** True if nobody will join or cancel it: `spawn` then returns nothing, and makes no garbage. */
  readonly detached?: boolean | undefined;
}

/** What `fibers.stats()` returns. Counts are since the scheduler was made. */
export interface FibersStats {
  /** Fibers that have not ended. */
  readonly live: number;
  /** The most that have lived at once. */
  readonly highWater: number;
  /** Fibers whose body has returned. */
  readonly returned: number;
  /** Fibers that an error has ended. */
  readonly failed: number;
  /** Fibers that a cancel has ended. */
  readonly cancelled: number;
  /** How often a fiber has run, up to its next `yield` or its end. */
  readonly resumptions: number;
}

/** The options with their defaults. */
interface FibersSettings {
  readonly frames: FramePool | undefined;
  readonly host: Host;
  readonly timers: WaitTimers;
  readonly onError: FibersOptions["onError"];
  readonly wake: (() => void) | undefined;
  readonly debug: boolean;
}

const OPTIONS: NamesOf<FibersOptions> = {
  frames: true,
  host: true,
  timers: true,
  onError: true,
  wake: true,
  debug: true,
};

/** @throws {InvalidArgumentError} naming what cannot be */
export function fibersSettingsOf(options: FibersOptions): FibersSettings {
  assertOptions("the options argument of createFibers", options, OPTIONS);
  const { frames, host: given, timers, onError, wake, debug = false } = options;
  if (frames !== undefined && !(frames instanceof FramePool)) {
    throw new InvalidArgumentError(`frames must be a frame pool, but is ${describe(frames)}`);
  }
  if (onError !== undefined) assertFunction("onError", onError);
  if (wake !== undefined) assertFunction("wake", wake);
  const host = checkHost(given);
  return {
    frames,
    host,
    timers: checkTimers(timers) ?? timersOf(host),
    onError,
    wake,
    debug: checkFlag("debug", debug),
  };
}
