import {
  array,
  type CursorOf,
  DestroyHookError,
  DisposedError,
  type Fields,
  f64,
  type Heap,
  OutOfMemoryError,
  ReentrantCallError,
  ResurrectionError,
  type Runtime,
  ref,
  type Scope,
  StaleReferenceError,
  type StructType,
  struct,
  u8,
  u32,
  weak,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { collectedRuns, type HeapRun, heapRuns, withHeap } from "../support/heaps.js";
import { withoutStacks, withRuntime } from "../support/runtimes.js";

withoutStacks();

/** What the hooks of a test do, by the record's id; and which have run. */
interface Log {
  ran: number[];
  act: (record: FileCursor) => void;
}
type AnyStruct = StructType<Fields>;
type FileCursor = CursorOf<{
  id: ReturnType<typeof u32Type>;
  next: ReturnType<typeof fileRef>;
  watch: ReturnType<typeof fileRef>;
}>;
const u32Type = () => u32;
const fileRef = () => ref("File");

function world() {
  const log: Log = { ran: [], act: () => {} };
  const File = struct(
    "File",
    { id: u32, next: ref("File"), watch: weak("File") },
    {
      destroy(record) {
        log.ran.push(record.id);
        log.act(record as never);
      },
    },
  );
  const Holder = struct("Holder", { file: ref(File), watch: weak(File) });
  return { log, File, Holder, types: [File, Holder] };
}
type World = ReturnType<typeof world>;

function withFiles(run: HeapRun, body: (heap: Heap, runtime: Runtime, world: World) => void) {
  const made = world();
  return withHeap(run, { types: made.types, minimumBytes: 1 }, (heap, runtime) => body(heap, runtime, made));
}

function makeFiles(heap: Heap, { File }: World, scope: Scope, count: number) {
  return Array.from({ length: count }, (_, id) => {
    const file = heap.new(File, scope);
    file.id = id;
    return file;
  });
}

const sorted = (numbers: readonly number[]) => [...numbers].sort((one, other) => one - other);

describe.each(heapRuns)("when a heap is destroyed, destroy hooks, under $strategy, in the $name module,", (run) => {
  test("run once each, type by type, while all that they refer to is there, freed in one of them or not", () =>
    withRuntime({ debug: run.debug }, (runtime) => {
      const log: string[] = [];
      const made: unknown[] = [];
      const hook = (name: string) => (record: { id: number; other: { id: number } | null }) => {
        log.push(`${name} ${record.id}, which refers to ${record.other?.id}`);
        if (record.other !== null) heap.free(record.other as never);
        using scope = runtime.scope();
        const makings = [
          () => heap.new(Plain, scope),
          () => heap.new(Plain, held, into), // for which there is a cell, and room for a handle
          () => heap.array(u8, 3, scope),
        ];
        for (const making of makings) {
          try {
            making();
          } catch (error) {
            made.push(error);
          }
        }
      };
      const Plain = struct("Plain", { id: u32 });
      const First: AnyStruct = struct(
        "First",
        { id: u32, other: ref(() => Second) },
        { destroy: hook("First") as never },
      );
      const Second: AnyStruct = struct("Second", { id: u32, other: ref(First) }, { destroy: hook("Second") as never });
      const heap: Heap = runtime.heap(run.strategy, { types: [First, Plain, Second] });
      using scope = runtime.scope();
      using held = runtime.scope();
      const into = heap.cursor(Plain);
      heap.new(Plain, held, into);
      for (let id = 0; id < 3; id++) {
        const one = heap.new(First, scope);
        const other = heap.new(Second, scope);
        Object.assign(one, { id, other });
        Object.assign(other, { id: 10 + id, other: one });
      }
      heap.destroy();
      expect(log).toEqual([
        ...[0, 1, 2].map((id) => `First ${id}, which refers to ${10 + id}`),
        ...[0, 1, 2].map((id) => `Second ${10 + id}, which refers to ${id}`),
      ]);
      expect(made).toHaveLength(3 * 6);
      for (const error of made) expect(error).toBeInstanceOf(ReentrantCallError);
      runtime.validate();
    }));

  test("run in the order in which the heap has taken the pages of a type, and on each in that of addresses", () =>
    withRuntime({ debug: run.debug }, (runtime) => {
      using scope = runtime.scope();
      const { heap, ran, addresses, inOrderOfMaking } = acrossPages(run, runtime, scope);
      heap.destroy();
      if (run.strategy === "manual") expect([...ran].sort()).toEqual([...inOrderOfMaking].sort());
      else expect(ran).toEqual(inOrderOfMaking);
      const ofSecond = addresses.slice(0, 300);
      expect(ran.slice(0, 300).every((name) => name.startsWith("Second"))).toBe(true);
      if (run.strategy === "manual") expect(ofSecond).toEqual(sorted(ofSecond));
      else expect(ofSecond).not.toEqual(sorted(ofSecond));
    }));
});

/** A heap of two types that have hooks, with objects on many pages, of which the later ones lie below the first; each is a ring. */
function acrossPages(run: HeapRun, runtime: Runtime, scope: Scope) {
  const ran: string[] = [];
  const addresses: number[] = [];
  const hookedType = (name: string): AnyStruct =>
    struct(
      name,
      { id: u32, self: ref(name), filling: array(f64, 100) },
      {
        destroy(record) {
          ran.push(`${name} ${record.id}`);
          addresses.push(record.$address);
        },
      },
    ) as never;
  const types = ["Second", "First"].map(hookedType);
  const heap = runtime.heap(run.strategy, { types });
  const below = Array.from({ length: 8 }, () => runtime.arena());
  for (const arena of below) arena.allocate(200_000);
  for (let id = 0; id < 300; id++) {
    if (id === 150) for (const arena of below) arena.destroy();
    for (const type of types) {
      const record = heap.new(type, scope);
      Object.assign(record, { id, self: record });
    }
  }
  const inOrderOfMaking = types.flatMap(({ name }) => Array.from({ length: 300 }, (_, id) => `${name} ${id}`));
  return { heap, ran, addresses, inOrderOfMaking };
}

describe.each(heapRuns)("destroy hooks in a heap of the $name module under $strategy", (run) => {
  test("run exactly once for each object that is freed, and for the others when the heap is destroyed", () =>
    withFiles(run, (heap, runtime, files) => {
      const scope = runtime.scope();
      const keep = scope.keep(makeFiles(heap, files, scope, 10)[7]!);
      if (run.strategy === "manual") for (const file of makeFiles(heap, files, scope, 3)) heap.free(file);
      scope.end();
      heap.collect();
      heap.collect();
      if (run.strategy === "manual") expect(files.log.ran).toEqual([0, 1, 2]);
      else expect(sorted(files.log.ran)).toEqual([0, 1, 2, 3, 4, 5, 6, 8, 9]);
      files.log.ran = [];
      expect(keep.id).toBe(7);
      heap.destroy();
      expect(sorted(files.log.ran)).toEqual(run.strategy === "manual" ? [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] : [7]);
      expect(keep.isLive()).toBe(false);
    }));

  test("are told that memory is out by what they read, also when the runtime is disposed of", () =>
    withRuntime({ debug: run.debug, maximumBytes: 16 << 16 }, (runtime) => {
      let error: unknown;
      const Full = struct(
        "Full",
        { self: ref("Full") },
        {
          destroy: (record) => {
            try {
              for (let read = 0; read < 1e6; read++) void record.self;
            } catch (thrown) {
              error = thrown;
            }
          },
        },
      );
      const scope = runtime.scope();
      const object = runtime.heap(run.strategy, { types: [Full] }).new(Full, scope);
      object.self = object;
      runtime.dispose();
      if (run.strategy === "manual") expect(error).toBeUndefined();
      else expect(error).toBeInstanceOf(OutOfMemoryError);
    }));

  test("run when the runtime is disposed of", () =>
    withRuntime({ debug: run.debug }, (runtime) => {
      const files = world();
      const heap = runtime.heap(run.strategy, { types: files.types });
      const scope = runtime.scope();
      makeFiles(heap, files, scope, 5);
      const dropped = runtime.scope();
      makeFiles(heap, files, dropped, 2);
      dropped.end();
      let refused: unknown;
      files.log.act = () => {
        try {
          heap.new(files.File, scope);
        } catch (error) {
          refused = error;
        }
      };
      runtime.dispose();
      expect(sorted(files.log.ran)).toEqual([0, 0, 1, 1, 2, 3, 4]);
      expect(refused).toBeInstanceOf(DisposedError);
      expect(heap.destroyed).toBe(true);
      scope.end();
    }));

  test("that throw keep no other from running, and nothing from being freed", () =>
    withFiles(run, (heap, runtime, files) => {
      using scope = runtime.scope();
      const inner = runtime.scope();
      const made = makeFiles(heap, files, inner, 4);
      files.log.act = ({ id }) => {
        if (id % 2 === 1) throw new RangeError(`file ${id}`);
      };
      if (run.strategy === "manual") {
        expect(() => heap.free(made[1]!)).toThrow(DestroyHookError);
        expect(made[1]!.isLive()).toBe(false);
        expect(heap.stats().objects).toBe(3);
      } else {
        inner.end();
        expect(() => heap.collect()).toThrow(DestroyHookError);
        expect(sorted(files.log.ran)).toEqual([0, 1, 2, 3]);
        expect(heap.stats().objects).toBe(0);
      }
      makeFiles(heap, files, scope, 2);
      expect(() => heap.destroy()).toThrow(DestroyHookError);
      expect(heap.destroyed).toBe(true);
    }));

  test("cannot collect, destroy the heap, or be found again by it", () =>
    withFiles(run, (heap, runtime, files) => {
      const scope = runtime.scope();
      const [made] = makeFiles(heap, files, scope, 1);
      const errors: unknown[] = [];
      files.log.act = () => {
        for (const attempt of [() => heap.collect(), () => heap.step(), () => heap.destroy()]) {
          try {
            attempt();
          } catch (error) {
            errors.push(error);
          }
        }
      };
      if (run.strategy === "manual") heap.free(made!);
      scope.end();
      heap.collect();
      expect(errors.map((error) => error instanceof ReentrantCallError)).toEqual([true, true, true]);
      expect(heap.stats().objects).toBe(0);
    }));

  test("may make objects and read and write the ones that live", () =>
    withFiles(run, (heap, runtime, files) => {
      const { File, Holder } = files;
      const scope = runtime.scope();
      const holder = scope.keep(heap.new(Holder, scope));
      const [made] = makeFiles(heap, files, scope, 1);
      made!.id = 77;
      files.log.act = ({ id }) => {
        if (id !== 77) return;
        using inner = runtime.scope();
        const file = heap.new(File, inner);
        file.id = 78;
        holder.file = file;
      };
      if (run.strategy === "manual") heap.free(made!);
      scope.end();
      heap.collect();
      expect(holder.file?.id).toBe(78);
      expect(files.log.ran).toEqual([77]);
      heap.collect();
      expect(holder.file?.id).toBe(78);
      heap.release(holder);
      heap.collect();
      expect(files.log.ran).toEqual(run.strategy === "manual" ? [77] : [77, 78]);
    }));
});

describe.each(collectedRuns)("destroy hooks in a collected heap of the $name module under $strategy", (run) => {
  test("find weak references to the dead empty already", () =>
    withFiles(run, (heap, runtime, files) => {
      const scope = runtime.scope();
      const holder = scope.keep(heap.new(files.Holder, scope));
      const [one, other] = makeFiles(heap, files, scope, 2);
      one!.watch = other!;
      other!.watch = one!;
      holder.watch = one!;
      const seen: unknown[] = [];
      files.log.act = ({ watch }) => seen.push(watch, holder.watch);
      scope.end();
      heap.collect();
      expect(seen).toEqual([null, null, null, null]);
      heap.release(holder);
    }));

  test("see what their objects referred to, and cannot bring any of it back", () =>
    withFiles(run, (heap, runtime, files) => {
      const { Holder, File } = files;
      const outer = runtime.scope();
      const holder = heap.new(Holder, outer);
      const kept = outer.keep(heap.new(Holder, outer));
      const walker = heap.cursor(File);
      const [living] = makeFiles(heap, files, outer, 1);
      living!.id = 50;
      walker.moveTo(living!);
      const scope = runtime.scope();
      const [one, other] = makeFiles(heap, files, scope, 2);
      one!.next = other!;
      other!.next = one!;
      const errors: unknown[] = [];
      const seen: unknown[] = [];
      let escaped: FileCursor | undefined;
      files.log.act = (file) => {
        if (file.id >= 50) return;
        seen.push((file.next as never as FileCursor | null)?.id);
        escaped = file;
        for (const attempt of [
          () => {
            holder.file = file as never;
          },
          () => {
            kept.file = file.next as never;
          },
          () => {
            holder.watch = file as never;
          },
          () => outer.keep(file),
          () => walker.moveTo(file as never),
          () => holder.assign({ file: file as never }),
        ]) {
          try {
            attempt();
            errors.push("nothing");
          } catch (error) {
            errors.push(error instanceof ResurrectionError ? "resurrection" : error);
          }
        }
        file.next = file as never; // among the dead
      };
      scope.end();
      heap.collect();
      expect(sorted(seen as number[])).toEqual([0, 1]);
      expect(errors).toEqual(Array.from({ length: 12 }, () => "resurrection"));
      expect([holder.file, holder.watch, kept.file, walker.id]).toEqual([null, null, null, 50]);
      expect(() => escaped?.id).toThrow(StaleReferenceError);
      expect(heap.stats().objects).toBe(3);
      heap.release(kept);
    }));

  test("keep nothing of what they have read when they have ended", () =>
    withFiles(run, (heap, runtime, files) => {
      const scope = runtime.scope();
      let read = 0;
      files.log.act = ({ next }) => {
        if (next !== null) read++;
      };
      for (const file of makeFiles(heap, files, scope, 10)) file.next = heap.new(files.File, scope);
      scope.end();
      heap.collect();
      heap.collect();
      expect([read, heap.stats().objects]).toEqual([10, 0]);
    }));
  test("that make and drop objects with hooks do not keep a collection from coming to an end", () =>
    withRuntime({ debug: run.debug }, (runtime) => {
      let hooks = 0;
      const Echo = struct(
        "Echo",
        { id: u32 },
        {
          destroy() {
            hooks++;
            if (isEnding) return;
            using scope = runtime.scope();
            heap.new(Echo, scope);
          },
        },
      );
      let isEnding = false;
      const heap: Heap = runtime.heap(run.strategy, { types: [Echo] });
      const scope = runtime.scope();
      heap.new(Echo, scope);
      scope.end();
      heap.collect();
      expect(hooks).toBeGreaterThan(0);
      expect(hooks).toBeLessThan(20_000);
      isEnding = true;
      heap.collect();
      heap.validate();
      heap.destroy();
    }));

  test("that throw, and a listener that throws as well, are both told of", () =>
    withFiles(run, (heap, runtime, files) => {
      files.log.act = () => {
        throw new Error("hook");
      };
      const fault = new Error("listener");
      heap.onCollection(() => {
        throw fault;
      });
      const scope = runtime.scope();
      const [file] = makeFiles(heap, files, scope, 1);
      file!.next = file as never; // a cycle, so that there is one of collection under every strategy
      scope.end();
      let thrown: unknown;
      try {
        heap.collect();
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(AggregateError);
      expect((thrown as AggregateError).errors).toEqual([expect.any(DestroyHookError), fault]);
      files.log.act = () => {};
    }));

  test("run in steps, a few at a time", () =>
    withFiles(run, (heap, runtime, files) => {
      const scope = runtime.scope();
      makeFiles(heap, files, scope, 100);
      scope.end();
      let most = 0;
      let before = 0;
      for (let step = 0; step < 2_000 && files.log.ran.length < 100; step++) {
        heap.step(10);
        most = Math.max(most, files.log.ran.length - before);
        before = files.log.ran.length;
      }
      expect(files.log.ran.length).toBe(100);
      expect(sorted(files.log.ran)).toEqual(Array.from({ length: 100 }, (_, id) => id));
      if (run.strategy !== "mark-sweep-stop") expect(most).toBeLessThanOrEqual(10);
    }));
});

const tracedRuns = collectedRuns.filter(({ strategy }) => strategy !== "refcount");

describe.each(tracedRuns)("the destroy hooks of a cycle in a heap of the $name module under $strategy", (run) => {
  test("run type by type, in the order in which the heap has taken the pages, and on each in that of addresses", () =>
    withRuntime({ debug: run.debug }, (runtime) => {
      const scope = runtime.scope();
      const { heap, ran, addresses, inOrderOfMaking } = acrossPages(run, runtime, scope);
      scope.end();
      heap.collect();
      expect(ran).toEqual(inOrderOfMaking);
      expect(addresses.slice(0, 300)).not.toEqual(sorted(addresses.slice(0, 300)));
      heap.destroy();
    }));
});

const countedRuns = collectedRuns.filter(({ strategy }) => strategy === "refcount");

describe.each(countedRuns)("the destroy hooks of objects in a heap of the $name module under $strategy", (run) => {
  test("of a dropped cycle run along the references from where it was let go of", () =>
    withFiles(run, (heap, runtime, files) => {
      const scope = runtime.scope();
      const order = [3, 1, 4, 0, 5, 2];
      const made = makeFiles(heap, files, scope, order.length);
      order.forEach((id, index) => {
        made[id]!.next = made[order[(index + 1) % order.length]!]!;
      });
      const kept = scope.keep(made[4]!);
      scope.end();
      heap.collect();
      expect(files.log.ran).toEqual([]);
      heap.release(kept);
      heap.collect();
      expect(files.log.ran).toEqual([4, 0, 5, 2, 3, 1]);
    }));
});
