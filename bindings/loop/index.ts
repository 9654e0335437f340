export { Baton } from "./baton.js";
export { Channel } from "./channel.js";
export { Condition } from "./condition.js";
export type { EventContext } from "./context.js";
export type { LoopRuntime } from "./eventLoop.js";
export { Fiber, type FiberBody, type FiberContext, type FiberState } from "./fiber.js";
export { createFibers, Fibers } from "./fibers.js";
export type { FibersOptions, FibersStats, SpawnOptions } from "./fibersOptions.js";
export { type Host, platformHost } from "./host.js";
export {
  type CoalescePolicy,
  coalesce,
  type FailedEvent,
  type FiberHandler,
  type Handler,
  type Kind,
  type KindOptions,
} from "./kind.js";
export type { LagSummary } from "./lagHistogram.js";
export type { Operation } from "./line.js";
export { type CloseReport, createLoop, type Loop, type RunOptions } from "./loop.js";
export type { WatchdogOptions, WatchOptions } from "./loopWatch.js";
export { Mutex } from "./mutex.js";
export type {
  CollectionObservation,
  EventObservation,
  ObservationOptions,
  SlowObservation,
  TurnObservation,
} from "./observation.js";
export type { CloseOptions, LoopOptions, Priority, QueueOptions, QueuePolicy, TurnOptions } from "./options.js";
export type { PostResult } from "./queue.js";
export { type Selected, type SelectedOf, select } from "./select.js";
export { Semaphore, type SemaphoreOptions } from "./semaphore.js";
export type { BlockedReport } from "./sentinel.js";
export * from "./sources/index.js";
export type { LoopStatistics } from "./statistics.js";
export { type Drift, Timer, type TimerTarget } from "./timer.js";
export { createTimers, type TimerId, Timers } from "./timers.js";
export type { PayloadOptions, PeriodicOptions, TimersOptions, TimersStatistics } from "./timersOptions.js";
export { WaitGroup } from "./waitGroup.js";
export {
  type Registration,
  timersOf,
  type Waitable,
  type Waiter,
  Waiting,
  type WaitOptions,
  type WaitTimers,
} from "./waiting.js";
export type { SlowOptions, SlowReport, SlowSubject } from "./watchdog.js";
export type { WatchdogState } from "./watchdogThread.js";
