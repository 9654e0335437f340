// Small programs, each with a model of its own beside it, for memory to be refused to: see refusedRequests.test.ts.

import {
  type Arena,
  array,
  type ByteHeap,
  type CursorOf,
  type Heap,
  OutOfMemoryError,
  type Pool,
  type Ref,
  type Runtime,
  ref,
  type Scope,
  SealedError,
  type SortedMap,
  type Strategy,
  struct,
  text,
  u8,
  u32,
  weak,
} from "tidemark";
import { expect } from "vitest";
import { RandomNumbers } from "../support/randomNumbers.js";
import { validate } from "../support/runtimes.js";

/** Calls that may be refused memory. What has been done by then stays done, and the step may be taken again, or left out. */
export type Step = () => unknown;

/** A program, and what holds for it. */
export interface Program {
  /** The first makes what the others need, as far as it is not there yet. */
  readonly steps: readonly Step[];
  /** Throws unless all is as the model has it; or for want of memory. */
  check(): void;
  /** Gives everything back. */
  end(): unknown;
}

/** Begins a program, without taking memory. */
export type Feature = (runtime: Runtime) => Program | Promise<Program>;

export const isRefusal = (error: unknown) => error instanceof OutOfMemoryError || error instanceof SealedError;

/** Throws what is no refusal. */
function assertRefusal(error: unknown): void {
  if (!isRefusal(error)) throw error;
}

/** Runs a call that changes nothing where it is refused. */
function unchanged<Result>(figures: () => unknown, call: () => Result): Result {
  const before = figures();
  try {
    return call();
  } catch (error) {
    expect(figures()).toEqual(before);
    throw error;
  }
}

/** Steps that are taken again and again, each in its turn. */
export const repeated = (rounds: number, steps: readonly Step[]) => Array.from({ length: rounds }, () => steps).flat();

// ── allocators ──────────────────────────────────────────────────────────────────────────────────────────────────────

const Node = struct("Node", { id: u32, next: ref("Node"), other: ref("Node") });
const NODES = 300;

/** Arenas in one another: records with destroy hooks, marks that are rewound to, graphs that are copied. */
export function arenas(runtime: Runtime): Program {
  const destroyed: number[] = [];
  const File = struct("File", { id: u32, bytes: array(u8, 900) }, { destroy: ({ id }) => destroyed.push(id) });
  const random = new RandomNumbers(7);
  /** The outermost first; of each, how to look at what is in it, and its files. */
  const levels: { readonly arena: Arena; readonly checks: (() => void)[]; readonly files: number[] }[] = [];
  let source: Arena | undefined;
  let graph: CursorOf<(typeof Node)["fields"]> | undefined;
  let files = 0;
  const top = () => levels.at(-1)!;
  const begin = (arena: Arena) => levels.push({ arena, checks: [], files: [] });
  const endAll = (level: ReturnType<typeof top>) => {
    expect(destroyed.slice(-level.files.length || Number.POSITIVE_INFINITY)).toEqual(level.files.splice(0).reverse());
    level.checks.length = 0;
  };
  const addFile = () => {
    const { arena, checks, files: own } = top();
    const file = arena.new(File);
    const id = ++files;
    file.id = id;
    own.push(id);
    checks.push(() => expect(file.id).toBe(id));
  };
  const addBytes = () => {
    const { arena, checks } = top();
    const size = random.pick([100, 3000, 20_000, 70_000, 300_000]);
    const bytes = arena.bytes(size);
    expect([bytes.get(0), bytes.get(size - 1)]).toEqual([0, 0]);
    bytes.set(size - 1, 7);
    checks.push(() => expect(bytes.get(size - 1)).toBe(7));
  };
  const makeGraph = () => {
    if (graph !== undefined) return;
    source ??= runtime.arena();
    source.reset();
    const first = source.new(Node);
    let last = first;
    for (let id = 1; id < NODES; id++) {
      const node = source.new(Node);
      node.id = id;
      node.other = first;
      last.next = node;
      last = node;
    }
    last.next = first;
    graph = first;
  };
  const copy = () => {
    if (graph === undefined) return;
    const { arena, checks } = top();
    const copied = graph.copyTo(arena);
    checks.push(() => {
      const walker = runtime.cursor(Node).moveTo(copied);
      let count = 0;
      do expect(walker.id).toBe(count++);
      while (walker.follow("next") && walker.id !== 0);
      expect(count).toBe(NODES);
    });
  };
  const tryAndRewind = () => {
    const { arena } = top();
    const mark = arena.mark();
    const before = destroyed.length;
    let made = 0;
    try {
      arena.bytes(50_000);
      arena.new(File);
      made++;
      arena.arena().new(File);
      made++;
    } finally {
      arena.rewind(mark);
      expect(destroyed.length).toBe(before + made);
    }
  };
  const reset = () => {
    top().arena.reset();
    endAll(top());
  };
  const leave = () => {
    if (levels.length === 1) return;
    const level = levels.pop()!;
    level.arena.destroy();
    endAll(level);
  };
  const nest = () => begin(top().arena.arena());
  return {
    steps: [
      () => levels.length > 0 || begin(runtime.arena()),
      ...repeated(3, [addFile, addBytes, addFile, nest, makeGraph, addBytes, copy, addFile, tryAndRewind, addBytes]),
      reset,
      ...repeated(2, [addFile, copy, addBytes, leave, addBytes]),
    ],
    check() {
      validate(runtime, ...levels.map(({ arena }) => arena));
      for (const { checks, files } of levels) {
        for (const check of checks) check();
        for (const id of files) expect(destroyed).not.toContain(id);
      }
    },
    end() {
      levels[0]?.arena.destroy();
      source?.destroy();
      for (const level of levels.reverse()) for (const id of level.files) expect(destroyed).toContain(id);
      expect(new Set(destroyed.filter((id) => id > 0)).size).toBe(files);
    },
  };
}

/** A pool whose destroy hook takes and gives back memory of others, and keeps what it is refused to itself. */
export function pool(runtime: Runtime): Program {
  const Order = struct("Order", { id: u32, bytes: array(u8, 400) });
  const random = new RandomNumbers(11);
  const live = new Map<number, Ref<(typeof Order)["fields"]>>();
  const destroyed: number[] = [];
  let heap: ByteHeap | undefined;
  let blocks: number[] = [];
  let orders: Pool<(typeof Order)["fields"]> | undefined;
  let last = 0;
  const destroy = ({ id }: { readonly id: number }) => {
    destroyed.push(id);
    try {
      blocks.push(heap!.allocate(random.pick([100, 5000, 70_000])));
    } catch (error) {
      assertRefusal(error);
    }
    if (blocks.length > 20) heap!.free(blocks.shift()!);
  };
  const make = () => {
    const cursor = orders!.cursor();
    for (let count = 0; count < 60; count++) {
      unchanged(
        () => orders!.count,
        () => orders!.new(cursor),
      );
      cursor.id = ++last;
      live.set(last, cursor.ref());
    }
  };
  const free = () => {
    for (const [id, order] of [...live].filter(() => random.below(3) === 0)) {
      live.delete(id);
      orders!.free(order);
      expect([order.isLive(), destroyed.at(-1)]).toEqual([false, id]);
    }
  };
  const clear = () => {
    orders!.clear();
    live.clear();
    expect(destroyed.length).toBe(last);
  };
  return {
    steps: [
      () => {
        heap ??= runtime.byteHeap();
        orders ??= runtime.pool(Order, { destroy });
      },
      ...repeated(4, [make, make, free, make]),
      clear,
      make,
      free,
    ],
    check() {
      const cursor = orders?.cursor();
      for (const [id, order] of live) expect(cursor!.moveTo(order).id).toBe(id);
      expect(orders?.count ?? 0).toBe(live.size);
      expect(destroyed.length).toBe(last - live.size);
      orders?.validate();
      heap?.validate();
    },
    end() {
      orders?.destroy();
      expect(destroyed.length).toBe(last);
      heap?.destroy();
      blocks = [];
    },
  };
}

/** A byte heap and a map, for others to share memory with. */
export function neighbours(runtime: Runtime): Program {
  const random = new RandomNumbers(5);
  const blocks: { address: number; size: number; readonly value: number }[] = [];
  const model = new Map<string, number>();
  let heap: ByteHeap | undefined;
  let map: SortedMap<ReturnType<typeof text>, typeof u32> | undefined;
  const stamp = (block: (typeof blocks)[number], size: number) => {
    block.size = size;
    runtime.$memory.u8.fill(block.value, block.address, block.address + size);
  };
  const assertStamped = ({ address, size, value }: (typeof blocks)[number]) => {
    const { u8: bytes } = runtime.$memory;
    expect([
      bytes[address],
      bytes[address + size - 1],
      bytes.subarray(address, address + size).every((byte) => byte === value),
    ]).toEqual([value, value, true]);
  };
  const size = () => random.pick([10, 200, 300, 4000, 60_000, 200_000]);
  const allocate = () => {
    const bytes = size();
    const alignment = 16 << random.below(9);
    const block = { address: heap!.allocate(bytes, { alignment }), size: bytes, value: random.between(1, 200) };
    blocks.push(block);
    expect(block.address % alignment).toBe(0);
    stamp(block, bytes);
  };
  const reallocate = () => {
    if (blocks.length === 0) return;
    const block = random.pick(blocks);
    const bytes = size();
    block.address = heap!.reallocate(block.address, bytes);
    block.size = Math.min(block.size, bytes);
    assertStamped(block);
    stamp(block, bytes);
  };
  const free = () => {
    if (blocks.length > 3) heap!.free(blocks.splice(random.below(blocks.length), 1)[0]!.address);
  };
  const set = () => {
    for (let count = 0; count < 100; count++) {
      const key = `key ${random.below(5000)}`;
      unchanged(
        () => [map!.size, map!.get(key)],
        () => map!.set(key, count),
      );
      model.set(key, count);
    }
  };
  return {
    steps: [
      () => {
        heap ??= runtime.byteHeap();
        map ??= runtime.sortedMap(text(12), u32);
      },
      ...repeated(6, [allocate, set, allocate, reallocate, allocate, free]),
    ],
    check() {
      for (const block of blocks) assertStamped(block);
      expect(Array.from(map ?? [], ({ key, value }) => [key, value])).toEqual(
        [...model].sort(([one], [other]) => (one < other ? -1 : 1)),
      );
      map?.validate();
      heap?.validate();
    },
    end() {
      map?.dispose();
      heap?.destroy();
    },
  };
}

// ── heaps ───────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Model {
  next: number | null;
  seen: number | null;
  label: string | null;
  list: (number | null)[] | null;
}

/** A heap of a strategy, by its cursors: scopes, kept handles, weak references, arrays, destroy hooks that make objects. */
export const heap = (strategy: Strategy) =>
  function heapOf(runtime: Runtime): Program {
    const destroyed: number[] = [];
    const Item = struct(
      "Item",
      { id: u32, next: ref("Item"), seen: weak("Item"), label: ref(array(u8)), list: ref(array(ref("Item"))) },
      { destroy: (item) => void destroyed.push(item.id) },
    );
    const random = new RandomNumbers(3);
    const model = new Map<number, Model>();
    type ItemCursor = CursorOf<(typeof Item)["fields"]>;
    const scoped = new Map<number, ItemCursor>();
    const kept = new Map<number, ItemCursor & Disposable>();
    const isCollected = strategy !== "manual";
    let items: Heap | undefined;
    let scope: Scope | undefined;
    let last = 0;
    const any = () => random.pick([...scoped]);
    const reachable = () => {
      const reached = new Set<number>();
      const left = [...kept.keys(), ...scoped.keys()];
      for (let id = left.pop(); id !== undefined; id = left.pop()) {
        if (reached.has(id)) continue;
        reached.add(id);
        const { next, list } = model.get(id)!;
        for (const other of [next, ...(list ?? [])]) if (other !== null) left.push(other);
      }
      return reached;
    };
    const make = () => {
      for (let count = 0; count < 40; count++) {
        const item = unchanged(
          () => items!.stats().objects,
          () => items!.new(Item, scope!),
        );
        item.id = ++last;
        model.set(last, { next: null, seen: null, label: null, list: null });
        scoped.set(last, item);
      }
    };
    const link = () => {
      for (let count = 0; count < 60 && scoped.size > 0; count++) {
        const [[one, item], [other, target]] = [any(), any()];
        item.next = target;
        item.seen = target;
        Object.assign(model.get(one)!, { next: other, seen: other });
      }
    };
    const label = () => {
      if (scoped.size === 0) return;
      const [id, item] = any();
      item.label = items!.text(`item ${id}`, scope!);
      model.get(id)!.label = `item ${id}`;
    };
    const list = () => {
      if (scoped.size === 0) return;
      const [id, item] = any();
      const members = Array.from({ length: 5 }, any);
      const list = items!.array(ref(Item), random.pick([5, 1000, 20_000]), scope!);
      members.forEach(([, member], index) => {
        list.set(index, member);
      });
      item.list = list;
      model.get(id)!.list = members.map(([member]) => member);
    };
    const keep = () => {
      if (scoped.size === 0) return;
      const [id, item] = any();
      if (!kept.has(id)) kept.set(id, scope!.keep(item));
    };
    const leave = () => {
      scope!.end();
      scoped.clear();
      scope = runtime.scope();
    };
    const release = () => {
      const [id, handle] = random.pick([...kept, [0, undefined] as const]);
      if (handle === undefined) return;
      kept.delete(id);
      items!.release(handle);
    };
    const step = () => items!.step(300);
    const collect = () => items!.collect();
    return {
      steps: [
        () => {
          items ??= runtime.heap(strategy, { types: [Item, array(ref(Item))], minimumBytes: 10_000, stepUnits: 200 });
          scope ??= runtime.scope();
        },
        ...repeated(5, [make, link, label, keep, step, list, keep, make, link, leave, step, make, list, release, step]),
        collect,
        ...repeated(2, [make, link, list, keep, leave, release, collect]),
      ],
      check() {
        if (items === undefined) return;
        const live = reachable();
        const dead = new Set(destroyed);
        expect(dead.size).toBe(destroyed.length);
        for (const id of live) if (dead.has(id)) expect.fail(`${id} is reachable, and has been destroyed`);
        const walker = items.cursor(Item);
        const other = items.cursor(Item);
        for (const [id, handle] of [...kept, ...scoped]) {
          walker.moveTo(handle);
          expect(walker.id).toBe(id);
          const { next, seen, label, list } = model.get(id)!;
          expect([walker.next?.id ?? null, walker.label?.toString() ?? null]).toEqual([next, label]);
          if (seen !== null && live.has(seen)) expect(walker.seen?.id).toBe(seen);
          list?.forEach((member, index) => {
            expect(other.moveTo(walker.list!.at(index)!).id).toBe(member);
          });
        }
        items.validate();
      },
      end() {
        if (items === undefined) return;
        const live = reachable();
        if (isCollected) {
          items.collect();
          expect(destroyed.length).toBe(last - live.size);
          expect(destroyed.some((id) => live.has(id))).toBe(false);
        }
        scope?.end();
        for (const handle of kept.values()) items.release(handle);
        if (isCollected) {
          items.collect();
          expect(items.stats().objects).toBe(0);
        }
        items.destroy();
        expect(destroyed.sort((one, other) => one - other)).toEqual(
          Array.from({ length: last }, (_, index) => index + 1),
        );
      },
    };
  };

/** Several programs by turns, on the same memory; the first step of each is synchronous. */
export const together = (...features: readonly Feature[]) =>
  async function all(runtime: Runtime): Promise<Program> {
    const programs: Program[] = [];
    for (const feature of features) programs.push(await feature(runtime));
    const longest = Math.max(...programs.map(({ steps }) => steps.length));
    const turns = Array.from({ length: longest }, (_, index) => programs.flatMap(({ steps }) => steps[index] ?? []));
    const begin = () => {
      for (const step of turns[0]!) step();
    };
    return {
      steps: [begin, ...turns.slice(1).flat()],
      check: () => {
        for (const program of programs) program.check();
      },
      end: async () => {
        for (const program of programs) await program.end();
      },
    };
  };
