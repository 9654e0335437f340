export type { EventContext } from "./context.js";
export { type Host, platformHost } from "./host.js";
export type { FailedEvent, Handler, Kind, KindOptions } from "./kind.js";
export { type CloseReport, createLoop, type Loop } from "./loop.js";
export type { CloseOptions, LoopOptions, QueuePolicy } from "./options.js";
export type { PostResult } from "./queue.js";
export type { LoopStatistics } from "./statistics.js";
export { type Drift, Timer, type TimerTarget } from "./timer.js";
export {
  createTimers,
  type PeriodicOptions,
  type TimerId,
  Timers,
  type TimersOptions,
  type TimersStatistics,
} from "./timers.js";
