import fc from "fast-check";
import {
  type Bytes,
  type FramePool,
  type FrameSize,
  OutOfMemoryError,
  type Runtime,
  StaleReferenceError,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { modules, PAGE, withoutStacks, withRuntime } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";

withoutStacks();

const SIZES = ["small", "medium", "large"] as const;

const operation = fc.record({
  type: fc.constantFrom("acquire", "acquire", "acquireMany", "release", "release", "releaseMost", "write", "grow"),
  size: fc.constantFrom<FrameSize>(...SIZES),
  pick: fc.nat(100_000),
});
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

/** A frame in use, and the byte that all of it is. */
interface Frame {
  readonly bytes: Bytes;
  readonly size: FrameSize;
  stamp: number;
}

/** A frame pool beside a list of the frames that are in use. */
class FramesAndList {
  readonly #runtime: Runtime;
  readonly #frames: FramePool;
  readonly #lengths: Readonly<Record<FrameSize, number>>;
  readonly #live: Frame[] = [];
  /** Given back some time, and stale for ever. */
  readonly #ended: Bytes[] = [];

  constructor(runtime: Runtime, lengths: Readonly<Record<FrameSize, number>>) {
    this.#runtime = runtime;
    this.#lengths = lengths;
    this.#frames = runtime.framePool(lengths);
  }

  play({ type, size, pick }: Operation): void {
    const live = this.#live;
    if (type === "acquire") this.#acquire(size, pick);
    else if (type === "acquireMany") for (let count = 0; count < pick % 20; count++) this.#acquire(size, pick + count);
    else if (type === "grow") this.#grow();
    else if (live.length === 0) return;
    else if (type === "write") this.#write(live[pick % live.length]!, pick);
    else if (type === "release") this.#release(pick);
    else for (const rest = pick % 4; live.length > rest; ) this.#release(pick);
  }

  #acquire(size: FrameSize, pick: number): void {
    const before = this.#frames.stats();
    let bytes: Bytes;
    try {
      bytes = pick % 3 === 0 ? this.#frames.acquire(size, this.#runtime.bytes()) : this.#frames.acquire(size);
    } catch (error) {
      expect(error).toBeInstanceOf(OutOfMemoryError);
      expect(this.#frames.stats()).toEqual(before);
      return;
    }
    expect(bytes.length).toBe(this.#lengths[size]);
    const frame = { bytes, size, stamp: 0 };
    this.#compare(frame); // it is clear
    this.#live.push(frame);
    this.#write(frame, pick);
  }

  /** Replaces all views of the memory, if there is more to be had. */
  #grow(): void {
    try {
      this.#runtime.reserve(this.#runtime.stats().freeBytes + PAGE);
    } catch (error) {
      expect(error).toBeInstanceOf(OutOfMemoryError);
    }
  }

  #write(frame: Frame, pick: number): void {
    frame.stamp = 1 + (pick % 255);
    frame.bytes.view().fill(frame.stamp);
  }

  #release(pick: number): void {
    const [frame] = this.#live.splice(pick % this.#live.length, 1) as [Frame];
    this.#compare(frame);
    this.#frames.release(frame.bytes);
    this.#ended.push(frame.bytes);
  }

  #compare({ bytes, stamp }: Frame): void {
    const view = bytes.view();
    if (!view.every((byte) => byte === stamp))
      expect(bytes.toUint8Array()).toEqual(new Uint8Array(bytes.length).fill(stamp));
  }

  check(): void {
    const { inUse, capacity, reservedBytes } = this.#frames.stats();
    let least = 0;
    for (const size of SIZES) {
      const count = this.#live.filter((frame) => frame.size === size).length;
      expect(inUse[size]).toBe(count);
      expect(capacity[size]).toBeGreaterThanOrEqual(count);
      least += count * this.#lengths[size];
    }
    expect(reservedBytes).toBeGreaterThanOrEqual(least);
    for (const { bytes, stamp } of this.#live)
      expect([bytes.get(0), bytes.get(bytes.length - 1)]).toEqual([stamp, stamp]);
    for (const bytes of this.#ended.slice(-3)) {
      expect(() => bytes.address).toThrow(StaleReferenceError);
      expect(() => this.#frames.release(bytes)).toThrow(StaleReferenceError);
    }
    try {
      this.#frames.validate();
    } catch (error) {
      expect(error).toBeInstanceOf(OutOfMemoryError); // it notes down what it has seen, if there is memory for that
    }
  }

  destroy(): void {
    this.#frames.destroy();
    for (const bytes of [...this.#ended, ...this.#live.map(({ bytes }) => bytes)]) {
      expect(() => bytes.address).toThrow(StaleReferenceError);
    }
  }
}

describe.each(modules)("a frame pool of the $name module", ({ debug }) => {
  test("does what a list would, whatever is taken and given back, and memory out at times", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          small: fc.integer({ min: 8, max: 200 }),
          medium: fc.integer({ min: 8, max: 5000 }),
          large: fc.oneof(fc.integer({ min: 8, max: 20_000 }), fc.constant(70_001)),
        }),
        fc.constantFrom(8 * PAGE, 64 * PAGE),
        fc.array(operation, { maxLength: 60, size: "max" }),
        (lengths, maximumBytes, operations) =>
          withRuntime({ debug, initialBytes: 3 * PAGE, maximumBytes }, (runtime) => {
            const model = new FramesAndList(runtime, lengths);
            for (const operation of operations) {
              model.play(operation);
              model.check();
            }
            model.destroy();
            expect(runtime.stats().bytesByOwner.pools).toBe(0);
            runtime.validate();
          }),
      ),
      { numRuns: scaled(40) },
    );
  });
});
