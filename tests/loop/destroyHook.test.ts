import {
  createLoop,
  DestroyHookError,
  f64,
  ReentrantCallError,
  type Region,
  type Runtime,
  struct,
  u32,
} from "tidemark";
import { beforeEach, describe, expect, test } from "vitest";
import { modules, withRuntime } from "../support/runtimes.js";

/** What happens, in its order: what hooks, handlers and `onError` say. */
const log: unknown[] = [];
/** What the hook of tickets does beside saying that it runs. */
let behave: (id: number) => void = () => {};
beforeEach(() => {
  log.length = 0;
  behave = () => {};
});

const Ticket = struct(
  "Ticket",
  { id: u32 },
  {
    destroy({ id }) {
      log.push(id);
      behave(id);
    },
  },
);
const Cell = struct("Cell", { value: f64 });

function ticket(region: Region, id: number): void {
  region.new(Ticket).id = id;
}

/** A loop whose errors are logged with the numbers of their events. */
function loggingLoop(runtime: Runtime) {
  return createLoop(runtime, { onError: (error, { sequence }) => log.push([error, sequence]) });
}

describe.each(modules)("destroy hooks of an event's records, $name module", ({ debug }) => {
  test("run when the event ends: the handler returns or throws, or its promise is fulfilled or rejected", () =>
    withRuntime({ debug }, async (runtime) => {
      const loop = loggingLoop(runtime);
      const thrown = new Error("thrown");
      const kind = loop.on("kind", (mode: number, { region }) => {
        ticket(region, 10 * mode + 1);
        ticket(mode % 2 === 0 ? region : (region.arena() as unknown as Region), 10 * mode + 2);
        if (mode === 2) throw thrown;
        if (mode === 3) return Promise.resolve().then(() => log.push("later"));
        if (mode === 4) return Promise.reject(thrown);
        return undefined;
      });
      for (let mode = 1; mode <= 4; mode++) {
        kind.post(mode);
        await loop.runUntilIdle();
        log.push(`after ${mode}`);
      }
      expect(log).toEqual([
        ...[12, 11, "after 1"],
        ...[22, 21, [thrown, 1], "after 2"],
        ...["later", 32, 31, "after 3"],
        ...[42, 41, [thrown, 3], "after 4"],
      ]);
      expect(loop.stats()).toMatchObject({ processed: 4, failed: 2, regionsLive: 0 });
      await loop.close();
      expect(runtime.stats().bytesByOwner.arenas).toBe(0);
    }));

  test("run once each, however many events have had the region before", () =>
    withRuntime({ debug }, async (runtime) => {
      const loop = loggingLoop(runtime);
      const kind = loop.on("kind", (id: number, { region }) => {
        region.new(Cell).value = id;
        if (id % 3 === 0) ticket(region, id);
      });
      for (let id = 1; id <= 30; id++) kind.post(id);
      await loop.runUntilIdle();
      expect(log).toEqual([3, 6, 9, 12, 15, 18, 21, 24, 27, 30]);
      await loop.close();
    }));

  test("that throw go where errors of handlers go, after one of the handler, and the events are counted whole", () =>
    withRuntime({ debug }, async (runtime) => {
      const loop = loggingLoop(runtime);
      const torn = new Error("torn");
      const thrown = new Error("thrown");
      behave = (id) => {
        if (id % 2 === 0) throw torn;
      };
      const kind = loop.on("kind", (mode: string, { region }) => {
        for (const id of [1, 2, 3]) ticket(region, id);
        if (mode === "throws") throw thrown;
        if (mode === "fulfils") return Promise.resolve();
        if (mode === "rejects") return Promise.reject(thrown);
        return undefined;
      });
      for (const mode of ["returns", "throws", "fulfils", "rejects"]) kind.post(mode);
      await loop.runUntilIdle();
      const fault = expect.objectContaining({ code: "ERR_TIDEMARK_DESTROY_HOOK", cause: torn });
      const errors = log.filter((entry) => Array.isArray(entry)).sort((one, other) => one[1] - other[1]);
      expect(errors).toEqual([
        [fault, 0],
        [thrown, 1],
        [fault, 1],
        [fault, 2],
        [thrown, 3],
        [fault, 3],
      ]);
      expect(log.filter((entry) => typeof entry === "number")).toEqual([3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1]);
      const { processed, failed, regionsLive, regionsLeased, bytesReset } = loop.stats();
      expect([processed, failed, regionsLive, regionsLeased]).toEqual([4, 2, 0, 4]);
      expect(bytesReset).toBeGreaterThanOrEqual(4 * 3 * Ticket.size);
      behave = () => {};
      kind.post("returns");
      await loop.runUntilIdle();
      expect(loop.stats().processed).toBe(5);
      await loop.close();
    }));

  test("that throw stop a loop that has no onError", () =>
    withRuntime({ debug }, async (runtime) => {
      const loop = createLoop(runtime);
      behave = () => {
        throw new Error("torn");
      };
      const kind = loop.on("kind", (id: number, { region }) => ticket(region, id));
      kind.post(1);
      kind.post(2);
      await expect(loop.run()).rejects.toBeInstanceOf(DestroyHookError);
      expect(log).toEqual([1]);
      expect(await loop.close()).toEqual({ processed: 1, dropped: 1, abandoned: 0 });
    }));

  test("can neither use the region of their event nor lease another through its context, and can post", () =>
    withRuntime({ debug }, async (runtime) => {
      const loop = loggingLoop(runtime);
      const kind = loop.on("kind", (id: number, context) => {
        const { region } = context;
        ticket(region, id);
        behave = () => {
          expect(() => region.new(Cell)).toThrow(ReentrantCallError);
          expect(() => region.mark()).toThrow(ReentrantCallError);
          expect(() => context.region).toThrow(expect.objectContaining({ code: "ERR_TIDEMARK_REGION_ENDED" }));
          if (id < 3) kind.post(id + 1);
        };
      });
      kind.post(1);
      await loop.runUntilIdle();
      expect(log).toEqual([1, 2, 3]);
      await loop.close();
    }));

  test("run once when the handler disposes of the runtime, or an event is in flight when somebody does", async () => {
    await withRuntime({ debug }, async (runtime) => {
      const loop = loggingLoop(runtime);
      const parked = loop.on("parked", (id: number, { region }) => {
        ticket(region, id);
        return new Promise<void>((resolve) => setTimeout(resolve, 5));
      });
      const last = loop.on("last", (id: number, { region }) => {
        ticket(region, id);
        runtime.dispose();
        log.push("disposed");
      });
      parked.post(1);
      last.post(2);
      const run = loop.run();
      await expect(run).rejects.toThrow(/disposed/);
      await loop.close();
      expect(log).toEqual([2, 1, "disposed"]);
    });
  });
});
