import { Baton, createRuntime, type FiberContext, OutOfMemoryError } from "tidemark";
import { describe, expect, test } from "vitest";
import { stage } from "./fiberStage.js";

describe.each([false, true])("a fiber's frame (debug: %s)", (debug) => {
  test("is taken when the fiber first runs, cleared, and goes back when it ends, however it does", async () => {
    using runtime = await createRuntime({ debug });
    const frames = runtime.framePool();
    const { host, fibers, log } = stage({ frames, debug });
    const ends: ((context: FiberContext) => Generator<unknown, unknown, unknown>)[] = [
      function* () {},
      function* () {
        yield;
        throw new Error("fault");
      },
      function* () {
        yield new Baton().wait();
      },
    ];
    for (const size of ["small", "medium", "large"] as const) {
      const all = ends.map((end) =>
        fibers.spawn(
          function* (context) {
            expect(context.frame.toUint8Array().every((byte) => byte === 0)).toBe(true);
            context.frame.view().fill(0xff);
            yield* end(context);
          },
          { frame: size },
        ),
      );
      expect(frames.stats().inUse[size]).toBe(0);
      fibers.run(2);
      expect(frames.stats().inUse[size]).toBe(1); // one has ended
      fibers.run(1);
      expect(frames.stats().inUse[size]).toBe(2);
      await host.rest();
      expect(frames.stats().inUse[size]).toBe(1);
      all[2]!.cancel();
      await host.rest();
      expect(frames.stats().inUse[size]).toBe(0);
    }
    expect(log.length).toBe(3);
    frames.validate();
  });

  test("that there is no memory for fails the fiber before it begins", async () => {
    using runtime = await createRuntime({ debug, maximumBytes: 4 << 20 });
    const frames = runtime.framePool({ large: 1 << 20 });
    const { host, fibers, log } = stage({ frames, debug });
    const all = Array.from({ length: 10 }, () =>
      fibers.spawn(
        function* () {
          yield new Baton().wait();
        },
        { frame: "large" },
      ),
    );
    await host.rest();
    expect(log.length).toBeGreaterThan(0);
    expect(log.every((error) => error instanceof OutOfMemoryError)).toBe(true);
    expect(fibers.stats().live + log.length).toBe(10);
    fibers.close();
    expect(frames.stats().inUse.large).toBe(0);
    expect(all.every((fiber) => fiber.state !== "running")).toBe(true);
  });

  test("that goes with its runtime does not keep the fiber from ending", async () => {
    const runtime = await createRuntime({ debug });
    const { host, fibers, log } = stage({ frames: runtime.framePool(), debug });
    const baton = new Baton();
    const fiber = fibers.spawn(
      function* () {
        yield baton.wait();
        return 5;
      },
      { frame: "small" },
    );
    await host.rest();
    runtime.dispose();
    baton.post();
    await host.rest();
    expect([fiber.state, log]).toEqual(["returned", []]);
  });
});
