import fc from "fast-check";
import { createRuntime, f64, type Heap, type Runtime, ref, type Scope, struct, u32 } from "tidemark";
import { describe, expect, test } from "vitest";
import { MEBIBYTE, modules } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";

// What TypeScript does to objects of a heap without a call is done in the module too, for guests and for what takes a step
// more. Here one program runs on two runtimes: as it would, and with every object made, every reference stored and every handle
// moved by the module. All state lies in linear memory, so the two memories must be the same after each operation.

const Node = struct("Node", { next: ref("Node"), other: ref("Node"), value: u32 });
const Wide = struct("Wide", { value: f64, bytes: f64, node: ref(Node), next: ref("Wide") });
const Hooked = struct("Hooked", { next: ref("Hooked"), value: u32 }, { destroy: (record) => record.toObject() });
const structs = [Node, Wide, Hooked] as const;
/** The references of each to its own kind. */
const references = [["next", "other"], ["next"], ["next"]] as const;

/** A cursor of any of them, with what it knows of its place. */
interface AnyCursor {
  readonly $struct: { readonly offsets: Readonly<Record<string, number>> };
  readonly $address: number;
  readonly $guard: number;
  readonly $generation: number;
  $root: number;
  $show(object: number, guard: number, generation: number): void;
  isLive(): boolean;
  follow(name: string, into: AnyCursor): boolean;
  moveTo(target: AnyCursor): void;
}

const CURSORS = 4;
const SCOPES = 3;
const UNROOTED = 1;

const kind = fc.constantFrom(0, 0, 0, 1, 2);
const index = fc.nat(CURSORS - 1);
const operation = fc.oneof(
  { weight: 8, arbitrary: fc.record({ type: fc.constant("new"), kind, to: index, scope: fc.nat(SCOPES - 1) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("many"), kind, to: index, scope: fc.nat(SCOPES - 1) }) },
  { weight: 8, arbitrary: fc.record({ type: fc.constant("store"), kind, to: index, from: index, which: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("empty"), kind, to: index, which: fc.nat(1) }) },
  { weight: 8, arbitrary: fc.record({ type: fc.constant("follow"), kind, to: index, from: index, which: fc.nat(1) }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("move"), kind, to: index, from: index }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("keep"), kind, to: index }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("end"), scope: fc.nat(SCOPES - 1) }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("step"), units: fc.constantFrom(1, 3, 20, 500) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("collect") }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

/** A runtime with a heap, and the program's cursors and scopes. */
class World {
  readonly heap: Heap;
  readonly cursors: AnyCursor[][];
  readonly scopes: Scope[];
  /** The heap's address. */
  address = 0;

  constructor(
    readonly runtime: Runtime,
    strategy: "refcount" | "mark-sweep" | "mark-sweep-stop",
    /** True to have all done by the module. */
    readonly byCalls: boolean,
  ) {
    const { exports } = runtime.$memory;
    const { createHeap } = exports;
    exports.createHeap = (...options) => {
      this.address = createHeap(...options) >>> 0;
      return this.address;
    };
    this.heap = runtime.heap(strategy, { types: [...structs], minimumBytes: 2000 });
    this.cursors = structs.map((type) =>
      Array.from({ length: CURSORS }, () => this.heap.cursor(type as never) as unknown as AnyCursor),
    );
    this.scopes = Array.from({ length: SCOPES }, () => runtime.scope());
  }

  word(name: string): number {
    const { exports, u32 } = this.runtime.$memory;
    return u32[(this.address + (exports as unknown as Record<string, WebAssembly.Global>)[name]!.value) >>> 2]!;
  }

  make(which: number, to: number, scope: Scope): void {
    const cursor = this.cursors[which]![to]!;
    if (!this.byCalls) this.heap.new(structs[which] as never, scope, cursor as never);
    // Without a cursor to point at it, an object is made by a call.
    else this.cursors[which]![to] = this.heap.new(structs[which] as never, scope) as unknown as AnyCursor;
  }

  store(target: AnyCursor, name: string, value: AnyCursor | null): void {
    if (!this.byCalls) {
      (target as unknown as Record<string, AnyCursor | null>)[name] = value;
      return;
    }
    if (!target.isLive() || value?.isLive() === false) throw new Error("stale");
    const slot = target.$address + target.$struct.offsets[name]!;
    this.runtime.$memory.exports.heapStore(this.address, slot, value?.$address ?? 0);
  }

  follow(from: AnyCursor, name: string, into: AnyCursor): boolean {
    if (!this.byCalls) return from.follow(name, into);
    if (!from.isLive()) throw new Error("stale");
    const offset = from.$struct.offsets[name]!;
    const object = this.runtime.$memory.u32[(from.$address + offset) >>> 2]!;
    if (object === 0) return false;
    this.show(into, object, from);
    return true;
  }

  move(into: AnyCursor, target: AnyCursor): void {
    if (!this.byCalls) into.moveTo(target);
    else if (!target.isLive()) throw new Error("stale");
    else this.show(into, target.$address, target);
  }

  /** Points a cursor at an object by the module's calls. */
  show(into: AnyCursor, object: number, from: AnyCursor): void {
    const { exports, u32, i32 } = this.runtime.$memory;
    if (into.$root > UNROOTED && into.isLive()) {
      // The module marks what a handle leaves; where its scope has been scanned that need not be.
      const isPlain = u32[into.$root >>> 2]! < this.word("HEAP_HANDLE_BARRIER") && u32[into.$guard + 1] !== 0;
      if (isPlain) u32[into.$root >>> 2] = object;
      else exports.moveHandle(this.address, into.$root, object);
      into.$show(object, into.$guard, into.$generation);
      return;
    }
    const scope = u32[from.$guard + 1]!;
    if (scope === 0) {
      const guard = this.word("HEAP_EPOCH_GUARD") >>> 2;
      into.$root = UNROOTED;
      into.$show(object, guard, i32[guard]!);
      return;
    }
    into.$root = exports.pushHandle(scope, object) >>> 0;
    into.$show(object, from.$guard, from.$generation);
  }

  apply(given: Operation): unknown {
    switch (given.type) {
      case "new":
        return this.make(given.kind, given.to, this.scopes[given.scope]!);
      case "many":
        for (let count = 0; count < 300; count++) this.make(given.kind, given.to, this.scopes[given.scope]!);
        return;
      case "store": {
        const cursors = this.cursors[given.kind]!;
        return this.store(cursors[given.to]!, slotOf(given), cursors[given.from]!);
      }
      case "empty":
        return this.store(this.cursors[given.kind]![given.to]!, slotOf(given), null);
      case "follow": {
        const cursors = this.cursors[given.kind]!;
        return this.follow(cursors[given.from]!, slotOf(given), cursors[given.to]!);
      }
      case "move":
        return this.move(this.cursors[given.kind]![given.to]!, this.cursors[given.kind]![given.from]!);
      case "keep":
        return this.keep(given.kind, given.to);
      case "end":
        this.scopes[given.scope]!.end();
        this.scopes[given.scope] = this.runtime.scope();
        return;
      case "step":
        return this.heap.step(given.units);
      case "collect":
        return this.heap.collect();
    }
  }

  /** Keeps an object, moves the kept handle, and releases it. */
  keep(which: number, to: number): void {
    const cursor = this.cursors[which]![to]!;
    const kept = this.scopes[0]!.keep(cursor as never) as unknown as AnyCursor;
    kept.moveTo(cursor);
    this.heap.release(kept);
  }

  /** What the cursors show, and whether they may. */
  get shown(): unknown {
    return this.cursors.map((cursors) => cursors.map((cursor) => [cursor.isLive(), cursor.$address, cursor.$root]));
  }

  /** The memory, without the word in which the module tells of the last handle. */
  image(): Buffer {
    const { exports, u32, u8 } = this.runtime.$memory;
    u32[(this.address + exports.HEAP_SLOT!.value) >>> 2] = 0;
    return Buffer.from(u8.buffer, 0, u8.length);
  }
}

function slotOf({ kind: which, which: number }: { readonly kind: number; readonly which: number }): string {
  const names = references[which]!;
  return names[number % names.length]!;
}

/** What an operation returns; `undefined` also where it was refused. */
function outcome(world: World, given: Operation): unknown {
  try {
    return ["done", world.apply(given)];
  } catch {
    return "refused";
  }
}

describe.each(modules)("in the $name module", ({ debug }) => {
  test.each(["mark-sweep", "mark-sweep-stop", "refcount"] as const)(
    "objects of a %s heap lie in memory as the module would have them, whoever makes, stores and shows them",
    async (strategy) => {
      await fc.assert(
        fc.asyncProperty(fc.array(operation, { maxLength: 120, size: "max" }), async (operations) => {
          const options = { debug, maximumBytes: 16 * MEBIBYTE };
          using one = await createRuntime(options);
          using two = await createRuntime(options);
          const fast = new World(one, strategy, false);
          const slow = new World(two, strategy, true);
          for (const given of operations) {
            const byTypeScript = outcome(fast, given);
            expect(byTypeScript).toEqual(outcome(slow, given));
            if (Buffer.compare(fast.image(), slow.image()) !== 0) expect.fail(`after ${JSON.stringify(given)}`);
            expect(fast.shown).toEqual(slow.shown);
          }
          fast.heap.validate();
        }),
        { numRuns: scaled(60), includeErrorInReport: true },
      );
    },
  );
});

test.each([
  ["no call at any point of a cycle where no type has a destroy hook", [Node], 0],
  ["a call where one has, while hooks may run", [Node, Hooked], 1],
] as const)("the first reference that is stored in a new object takes %s", async (_case, types, calls) => {
  using runtime = await createRuntime();
  const { exports } = runtime.$memory;
  const { heapStore } = exports;
  let stores = 0;
  exports.heapStore = (...slot) => {
    stores++;
    return heapStore(...slot);
  };
  const heap = runtime.heap("mark-sweep", { types: [...types], minimumBytes: 2000 });
  using scope = runtime.scope();
  const head = heap.new(Node, scope);
  const storing = new Set<number>();
  while (heap.stats().cycles < 2) {
    const node = heap.new(Node, scope);
    const before = stores;
    node.next = head;
    storing.add(stores - before);
    heap.step(1);
  }
  expect(Math.max(...storing)).toBe(calls);
});
