import {
  type Bytes,
  createRuntime,
  type FramePool,
  type FrameSize,
  f64,
  InvalidArgumentError,
  SealedError,
  StaleReferenceError,
  struct,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { modules, PAGE, withRuntime } from "../support/runtimes.js";
import { code } from "../support/thrown.js";

const sizes = ["small", "medium", "large"] as const;
const none: Record<FrameSize, number> = { small: 0, medium: 0, large: 0 };
const defaults: Record<FrameSize, number> = { small: 1024, medium: 4096, large: 16_384 };

describe.each(modules)("a frame pool of the $name module", ({ debug }) => {
  test("hands out frames of three sizes, zero, and takes them back", () =>
    withRuntime({ debug }, (runtime) => {
      const frames = runtime.framePool();
      for (let round = 0; round < 3; round++) {
        for (const size of sizes) {
          const frame = frames.acquire(size);
          expect([frame.length, frame.address % 8]).toEqual([defaults[size], 0]);
          expect(frame.toUint8Array().every((byte) => byte === 0)).toBe(true);
          frame.view().fill(0xff);
          expect(frames.stats().inUse).toEqual({ ...none, [size]: 1 });
          frames.release(frame);
          expect(frames.stats().inUse).toEqual(none);
          expect(() => frame.get(0)).toThrow(StaleReferenceError);
          expect(() => frame.address).toThrow(StaleReferenceError);
          frames.validate();
        }
      }
    }));

  test.each<[Partial<Record<FrameSize, number>>]>([
    [{ small: 8, medium: 9, large: 1 << 20 }],
    [{ small: 100, large: 70_001 }],
    [{ small: 5000, medium: 5000, large: 5000 }],
    [{ large: 20, medium: 300_000 }],
    [{}],
  ])("has the sizes that it is given: %j", (options) =>
    withRuntime({ debug }, (runtime) => {
      const frames = runtime.framePool(options);
      const bytes = { ...defaults, ...options };
      const taken: [Bytes, number][] = [];
      for (let round = 0; round < 5; round++) {
        for (const size of sizes) {
          const frame = frames.acquire(size);
          expect(frame.length).toBe(bytes[size]);
          expect(frame.get(0) + frame.get(frame.length - 1)).toBe(0);
          taken.push([frame, taken.length + 1]);
          frame.view().fill(taken.length);
        }
      }
      for (const [frame, stamp] of taken) expect(frame.toUint8Array().every((byte) => byte === stamp)).toBe(true);
      frames.validate();
      for (const [frame] of taken.reverse()) frames.release(frame);
      expect(frames.stats().inUse).toEqual(none);
      frames.validate();
    }),
  );

  test("takes nothing before a size is asked for, and keeps what it has taken at its peak", () =>
    withRuntime({ debug }, (runtime) => {
      const frames = runtime.framePool();
      const before = runtime.stats();
      expect(frames.stats()).toEqual({ inUse: none, capacity: none, reservedBytes: 0 });
      const frame = runtime.bytes();
      for (const size of sizes) {
        const { capacity } = frames.stats();
        expect(capacity[size]).toBe(0);
        expect(frames.acquire(size, frame)).toBe(frame);
        frames.release(frame);
        expect(frames.stats().capacity[size]).toBeGreaterThan(0);
        expect({ ...frames.stats().capacity, [size]: 0 }).toEqual(capacity);
      }
      const { reservedBytes } = frames.stats();
      expect(runtime.stats().bytesByOwner.pools - before.bytesByOwner.pools).toBe(reservedBytes);
      runtime.seal();
      for (const size of sizes) {
        const { capacity } = frames.stats();
        for (let round = 0; round < 100; round++) {
          const taken = Array.from({ length: capacity[size] }, () => frames.acquire(size));
          for (const each of taken) frames.release(each);
        }
      }
      expect(frames.stats().reservedBytes).toBe(reservedBytes);
    }));

  test("gives the frame that was released last first", () =>
    withRuntime({ debug }, (runtime) => {
      const frames = runtime.framePool();
      const [one, other] = [frames.acquire("small"), frames.acquire("small")];
      const addresses = [one.address, other.address];
      frames.release(one);
      frames.release(other);
      expect([frames.acquire("small").address, frames.acquire("small").address]).toEqual(addresses.reverse());
    }));

  test("refuses a second release, and what is no frame of its own, and changes nothing", async () => {
    using runtime = await createRuntime({ debug });
    using stranger = await createRuntime({ debug });
    const frames = runtime.framePool();
    const frame = frames.acquire("small");
    const released = frames.acquire("medium");
    frames.release(released);
    expect(() => frames.release(released)).toThrow(StaleReferenceError);
    const again = frames.acquire("medium");
    expect(() => frames.release(released)).toThrow(StaleReferenceError);
    expect(() => frames.release(runtime.bytes())).toThrow(StaleReferenceError);
    const foreign: unknown[] = [
      runtime.arena().bytes(1024),
      runtime.framePool().acquire("small"),
      stranger.framePool().acquire("small"),
      runtime.pool(struct("Cell", { value: f64 })).new(),
      runtime.byteHeap().bytes(1024),
      null,
      undefined,
      5,
      {},
      frame.address,
    ];
    const before = frames.stats();
    for (const each of foreign) expect(() => frames.release(each as never)).toThrow(InvalidArgumentError);
    expect(frames.stats()).toEqual(before);
    expect([frame.get(0), again.get(0)]).toEqual([0, 0]);
    frames.validate();
  });

  test("refuses other sizes, and other things to reuse", async () => {
    using runtime = await createRuntime({ debug });
    using stranger = await createRuntime({ debug });
    const frames = runtime.framePool();
    for (const size of ["tiny", "", undefined, null, 5, 1024, ["small"], "toString", "__proto__"]) {
      expect(() => frames.acquire(size as never)).toThrow(InvalidArgumentError);
    }
    const cursor = runtime.cursor(struct("Cell", { value: f64 }));
    for (const into of [stranger.bytes(), cursor, null, 5, {}]) {
      expect(() => frames.acquire("small", into as never)).toThrow(InvalidArgumentError);
    }
    expect(frames.stats()).toEqual({ inUse: none, capacity: none, reservedBytes: 0 });
    for (const options of [
      null,
      5,
      { small: 7 },
      { medium: 2 ** 20 + 1 },
      { large: 1.5 },
      { small: "100" },
      { large: 0 },
    ]) {
      expect(() => runtime.framePool(options as never)).toThrow(InvalidArgumentError);
    }
  });

  test("leaves bytes that are given to be reused as they are, where there is no memory", () =>
    withRuntime({ debug, initialBytes: 8 * PAGE }, (runtime) => {
      const frames = runtime.framePool();
      const frame = frames.acquire("small");
      frame.set(0, 5);
      runtime.seal();
      while (runtime.$memory.exports.allocatePages(1, 7) !== 0);
      const before = frames.stats();
      for (const size of ["medium", "large"] as const) expect(() => frames.acquire(size, frame)).toThrow(SealedError);
      expect([frame.length, frame.get(0), frames.stats()]).toEqual([1024, 5, before]);
    }));

  test("ends all frames when it is destroyed, and is of no use then, nor after the runtime", async () => {
    using runtime = await createRuntime({ debug });
    const pools = [runtime.framePool(), runtime.framePool()];
    const taken = pools.map((frames) => sizes.map((size) => frames.acquire(size)));
    const assertGone = (frames: FramePool, mine: Bytes[]) => {
      const uses = [
        () => frames.acquire("small"),
        () => frames.release(mine[0]!),
        () => frames.stats(),
        () => frames.validate(),
      ];
      for (const use of uses) expect(use).toThrow(code("DISPOSED"));
      frames.destroy();
      frames[Symbol.dispose]();
      expect(frames.destroyed).toBe(true);
      for (const frame of mine) expect(() => frame.get(0)).toThrow();
    };
    pools[0]!.destroy();
    assertGone(pools[0]!, taken[0]!);
    expect(() => taken[0]![0]!.get(0)).toThrow(StaleReferenceError);
    expect(runtime.stats().bytesByOwner.pools).toBe(pools[1]!.stats().reservedBytes);
    expect(taken[1]!.map((frame) => frame.get(0))).toEqual([0, 0, 0]);
    runtime.validate();
    runtime.dispose();
    assertGone(pools[1]!, taken[1]!);
  });
});
