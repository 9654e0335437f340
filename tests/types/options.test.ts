import {
  type AllocationOptions,
  type ArenaOptions,
  type CloseOptions,
  createFibers,
  createLoop,
  createRuntime,
  createTimers,
  type FibersOptions,
  type Fields,
  type FramePoolOptions,
  f64,
  type HeapOptions,
  type KindOptions,
  type LoopOptions,
  type ObservationOptions,
  type PeriodicOptions,
  type PoolOptions,
  type QueueOptions,
  type RegionPoolOptions,
  type RunOptions,
  type Runtime,
  type RuntimeOptions,
  type SemaphoreOptions,
  type SortedMapOptions,
  type SourceOptions,
  type SpawnOptions,
  type StructOptions,
  struct,
  type TimersOptions,
  type TurnOptions,
  type WaitOptions,
  type WatchdogOptions,
} from "tidemark";
import { describe, expectTypeOf, test } from "vitest";

const Level = struct("Level", { price: f64 });

declare const runtime: Runtime;

/** The code inside is compiled, not run. */
const compiled = (_code: () => void) => {};

describe("options", () => {
  test("may all be given as undefined, which `exactOptionalPropertyTypes` tells from not being given", () => {
    type Undefined<Options> = Record<keyof Options, undefined>;
    expectTypeOf<Undefined<AllocationOptions>>().toExtend<AllocationOptions>();
    expectTypeOf<Undefined<ArenaOptions>>().toExtend<ArenaOptions>();
    expectTypeOf<Undefined<CloseOptions>>().toExtend<CloseOptions>();
    expectTypeOf<Undefined<FibersOptions>>().toExtend<FibersOptions>();
    expectTypeOf<Undefined<FramePoolOptions>>().toExtend<FramePoolOptions>();
    expectTypeOf<Undefined<Omit<HeapOptions, "types">>>().toExtend<Omit<HeapOptions, "types">>();
    expectTypeOf<Undefined<KindOptions>>().toExtend<KindOptions>();
    expectTypeOf<Undefined<LoopOptions>>().toExtend<LoopOptions>();
    expectTypeOf<Undefined<ObservationOptions>>().toExtend<ObservationOptions>();
    expectTypeOf<Undefined<PeriodicOptions<number>>>().toExtend<PeriodicOptions<number>>();
    expectTypeOf<Undefined<PoolOptions<Fields>>>().toExtend<PoolOptions<Fields>>();
    expectTypeOf<Undefined<QueueOptions>>().toExtend<QueueOptions>();
    expectTypeOf<Undefined<RegionPoolOptions>>().toExtend<RegionPoolOptions>();
    expectTypeOf<Undefined<RunOptions>>().toExtend<RunOptions>();
    expectTypeOf<Undefined<RuntimeOptions>>().toExtend<RuntimeOptions>();
    expectTypeOf<Undefined<SemaphoreOptions>>().toExtend<SemaphoreOptions>();
    expectTypeOf<Undefined<SortedMapOptions>>().toExtend<SortedMapOptions>();
    expectTypeOf<Undefined<SourceOptions>>().toExtend<SourceOptions>();
    expectTypeOf<Undefined<SpawnOptions>>().toExtend<SpawnOptions>();
    expectTypeOf<Undefined<StructOptions<Fields>>>().toExtend<StructOptions<Fields>>();
    expectTypeOf<Undefined<TimersOptions>>().toExtend<TimersOptions>();
    expectTypeOf<Undefined<TurnOptions>>().toExtend<TurnOptions>();
    expectTypeOf<Undefined<WaitOptions>>().toExtend<WaitOptions>();
    expectTypeOf<Undefined<WatchdogOptions>>().toExtend<WatchdogOptions>();
  });

  test("are no `this` to their functions, which are called without them", () => {
    compiled(() => {
      function onError(this: void) {
        expectTypeOf(this).toEqualTypeOf<void>();
      }
      createLoop(runtime, { onError, onSlow: onError, queue: { onDrain: onError } });
      createLoop(runtime, {
        inFlight: 5,
        onError() {
          // @ts-expect-error: not the options
          return this.inFlight;
        },
      });
      createTimers(runtime, {
        onError() {
          expectTypeOf(this).toEqualTypeOf<void>();
        },
      });
      createFibers({
        onError() {
          expectTypeOf(this).toEqualTypeOf<void>();
        },
      });
      runtime.pool(Level, {
        destroy() {
          expectTypeOf(this).toEqualTypeOf<void>();
        },
      });
      createRuntime({
        onLeak() {
          expectTypeOf(this).toEqualTypeOf<void>();
        },
      });
    });
  });
});
