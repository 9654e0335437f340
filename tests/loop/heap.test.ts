// Heaps in the loop: the same program under each strategy, by synchronous and async handlers, at rest and at full load.

import type { FailedEvent, Heap, Runtime, Scope } from "tidemark";
import {
  array,
  createLoop,
  DestroyHookError,
  f64,
  platformHost,
  ReentrantCallError,
  ref,
  StaleReferenceError,
  struct,
  u32,
  weak,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { MEBIBYTE, modules, PAGE, withoutStacks, withRuntime } from "../support/runtimes.js";
import { Gate, settled } from "./simulation.js";

const Node = struct("Node", { value: f64, next: ref("Node"), children: array(ref("Node"), 4) });

const makeNode = (heap: Heap, scope: Scope) => heap.new(Node, scope);
type NodeCursor = ReturnType<typeof makeNode>;
type KeptNode = NodeCursor & Disposable;

const strategies = ["manual", "refcount", "mark-sweep", "mark-sweep-stop"] as const;
type Strategy = (typeof strategies)[number];
const collecting = strategies.filter((strategy) => strategy !== "manual");
const withModules = <Each extends Strategy>(each: readonly Each[]) =>
  each.flatMap((strategy) => modules.map((module) => ({ strategy, ...module })));

withoutStacks();

/** Makes a chain of `length` nodes, numbered from `first`, whose last one leads back to the first by a child. */
function makeChain(heap: Heap, scope: Scope, length: number, first: number): NodeCursor {
  const head = makeNode(heap, scope);
  head.value = first;
  let last = head;
  for (let count = 1; count < length; count++) {
    const node = makeNode(heap, scope);
    node.value = first + count;
    last.next = node;
    last = node;
  }
  last.children.set(0, head);
  return head;
}

/** The nodes of a chain, in order. */
function nodesOf(head: NodeCursor): NodeCursor[] {
  const nodes: NodeCursor[] = [];
  for (let node: NodeCursor | null = head; node !== null; node = node.next) nodes.push(node);
  return nodes;
}

describe.each(withModules(strategies))("a heap in a loop: $strategy, $name module", ({ strategy, debug }) => {
  test("has what an event keeps for those that follow, and in the end nothing else", () =>
    withRuntime({ debug }, async (runtime) => {
      using heap = runtime.heap(strategy, { types: [Node], stepUnits: 200, minimumBytes: 1 });
      await using loop = createLoop(runtime);
      const document: { root: KeptNode | undefined } = { root: undefined };
      const edit = loop.on("edit", (value: number, { scope }) => {
        const head = heap.new(Node, scope);
        head.value = value;
        head.next = heap.new(Node, scope);
        head.next!.value = value + 0.5;
        const old = document.root;
        document.root = scope.keep(head);
        if (old === undefined) return;
        expect([old.value, old.next?.value]).toEqual([value - 1, value - 0.5]);
        heap.free(old.next!);
        heap.free(old);
        heap.release(old);
      });
      for (let value = 1; value <= 3_000; value++) {
        edit.post(value);
        if (value % 1_000 === 0) await loop.runUntilIdle();
      }
      const root = document.root!;
      expect([root.value, root.next?.value]).toEqual([3_000, 3_000.5]);
      heap.collect();
      expect([root.value, root.next?.value]).toEqual([3_000, 3_000.5]);
      heap.validate();
      expect(heap.stats()).toMatchObject({ objects: 2, handles: 1 });
      expect(loop.stats()).toMatchObject({ processed: 3_000, failed: 0, scopesOpened: 3_000, scopesLive: 0 });
    }));

  test("ends with the event every cursor that the event was given, and none that was kept", () =>
    withRuntime({ debug }, async (runtime) => {
      using heap = runtime.heap(strategy, { types: [Node] });
      await using loop = createLoop(runtime);
      const given: NodeCursor[] = [];
      const kept: KeptNode[] = [];
      const kind = loop.on("kind", async (waits: boolean, { scope }) => {
        const head = makeChain(heap, scope, 2, 1);
        given.push(head, head.next!);
        kept.push(scope.keep(head));
        if (waits) await settled();
        expect(head.next!.value).toBe(2);
      });
      const sync = loop.on("sync", (_: number, { scope }) => {
        const head = makeChain(heap, scope, 2, 1);
        given.push(head, head.next!);
        kept.push(scope.keep(head));
      });
      sync.post(0);
      kind.post(true);
      kind.post(false);
      await loop.runUntilIdle();
      expect(given).toHaveLength(6);
      for (const cursor of given) expect(() => cursor.value).toThrow(StaleReferenceError);
      for (const handle of kept) {
        expect([handle.value, handle.next!.value]).toEqual([1, 2]);
        heap.free(handle.next!);
        heap.free(handle);
        handle[Symbol.dispose]();
        expect(() => handle.value).toThrow(StaleReferenceError);
      }
      heap.collect();
      expect(heap.stats()).toMatchObject({ objects: 0, handles: 0 });
    }));

  test("is not collected inside a handler, though it is between its parts", () =>
    withRuntime({ debug }, async (runtime) => {
      using heap = runtime.heap(strategy, { types: [Node], minimumBytes: 1 });
      await using loop = createLoop(runtime);
      const kind = loop.on("kind", async (_: number, { scope }) => {
        const head = makeChain(heap, scope, 10, 0);
        const before = heap.stats();
        for (const call of [() => heap.step(), () => heap.step(1), () => heap.collect()]) {
          expect(call).toThrow(ReentrantCallError);
        }
        expect(heap.stats()).toEqual(before);
        await Promise.resolve();
        using kept = scope.keep(head);
        const shown = kept.next!; // without a handle of its own, where a collector works
        heap.step(1);
        heap.collect();
        if (strategy === "manual") expect(shown.value).toBe(1);
        else if (heap.stats().steps > before.steps) expect(() => shown.value).toThrow(StaleReferenceError);
        expect(nodesOf(head).map(({ value }) => value)).toEqual(Array.from({ length: 10 }, (_, index) => index));
        for (const node of nodesOf(head)) heap.free(node);
      });
      kind.post(0);
      await loop.runUntilIdle();
      heap.collect();
      expect(heap.stats().objects).toBe(0);
    }));

  test("keeps what parked handlers hold through any collection, and lets go of it when they have settled", () =>
    withRuntime({ debug }, async (runtime) => {
      using heap = runtime.heap(strategy, { types: [Node], stepUnits: 50, minimumBytes: 1 });
      const errors: unknown[] = [];
      await using loop = createLoop(runtime, { onError: (error) => errors.push(error) });
      const gates: Gate[] = [];
      const parked = loop.on("parked", async (id: number, { scope }) => {
        let head = makeChain(heap, scope, 30, 100 * id);
        let nodes = 30;
        for (let part = 0; part < 3; part++) {
          const gate = new Gate();
          gates.push(gate);
          await gate.promise;
          const values = nodesOf(head).map(({ value }) => value);
          expect(values).toEqual(Array.from({ length: nodes }, (_, index) => 100 * id - part + index));
          const front = makeNode(heap, scope); // the scope goes on
          front.value = head.value - 1;
          front.next = head;
          head = front;
          nodes++;
        }
        for (const node of nodesOf(head)) heap.free(node);
        if (id % 2 === 1) throw new Error("rejected");
      });
      const quick = loop.on("quick", (id: number, { scope }) => {
        for (const node of nodesOf(makeChain(heap, scope, 20, id))) heap.free(node);
      });
      void loop.run();
      for (let id = 0; id < 8; id++) parked.post(id);
      for (let part = 0; part < 3; part++) {
        for (let id = 0; id < 100; id++) quick.post(id);
        while (loop.stats().queued > 0) await settled();
        heap.collect();
        heap.validate();
        expect(heap.stats().objects).toBe(8 * (30 + part));
        // Those that go on first do so while others are parked, with a collection between any two.
        for (const gate of gates.splice(0).reverse()) {
          gate.open();
          await settled();
          heap.collect();
        }
      }
      await settled();
      expect(loop.stats()).toMatchObject({ inFlight: 0, failed: 4, scopesLive: 0 });
      expect(errors.map((error) => (error as Error).message)).toEqual(Array(4).fill("rejected"));
      heap.collect();
      expect(heap.stats().objects).toBe(0);
      heap.validate();
    }));

  test("is collected in idle time while there is anything to do; then the loop rests, and keeps no process busy", () =>
    withRuntime({ debug }, async (runtime) => {
      using heap = runtime.heap(strategy, { types: [Node], stepUnits: 20, minimumBytes: 20_000 });
      let hops = 0;
      const host = platformHost();
      const hop = (callback: () => void) => {
        hops++;
        host.hop(callback);
      };
      const loop = createLoop(runtime, { host: { ...host, hop } });
      const lasting = makeLive(runtime, heap, 1_500);
      heap.collect();
      let dropped: KeptNode | undefined;
      const make = loop.on("make", (value: number, { scope }) => {
        const head = makeChain(heap, scope, 1_500, value);
        nodesOf(head).at(-1)!.children.set(0, null); // no cycle: those wait until there are many of them, or much has been made
        dropped = scope.keep(head);
      });
      const drop = loop.on("drop", (_: number) => {
        for (const node of nodesOf(dropped!).reverse()) heap.free(node);
        heap.release(dropped!);
      });
      const rests = async () => {
        for (let before = -1; before !== hops; await settled()) {
          before = hops;
          await settled();
        }
      };
      const run = loop.run();
      make.post(1);
      await rests();
      const before = loop.stats();
      drop.post(1);
      await rests();
      const after = loop.stats();
      // Some thousand units, by the step, but for the strategies that have nothing to do, or do it at once.
      if (strategy === "refcount") expect(after.idleTurns - before.idleTurns).toBeGreaterThan(200);
      if (strategy === "mark-sweep") expect(before.idleTurns).toBeGreaterThan(200);
      expect(after.idleTurns).toBeGreaterThan(0);
      expect(hops).toBe(after.turns + after.idleTurns);
      heap.collect();
      expect(heap.stats().objects).toBe(1_500);
      expect(lasting.value).toBe(1_499);
      await loop.close();
      await run;
    }));

  test("is left in order by a runtime that is disposed while handlers are parked", () =>
    withRuntime({ debug }, async (runtime) => {
      const heap = runtime.heap(strategy, { types: [Node] });
      const loop = createLoop(runtime);
      const gate = new Gate();
      const kind = loop.on("kind", async (_: number, { scope }) => {
        makeChain(heap, scope, 5, 0);
        await gate.promise;
      });
      kind.post(0);
      const run = loop.run();
      const stopped = expect(run).rejects.toThrow("disposed");
      while (loop.stats().inFlight === 0) await settled();
      runtime.dispose();
      gate.open();
      await stopped;
      await settled();
      expect(heap.destroyed).toBe(true);
      expect(loop.stats()).toMatchObject({ inFlight: 0, scopesLive: 0 });
    }));
});

describe.each(withModules(collecting))("hooks and weak references in a loop: $strategy, $name module", (each) => {
  const { strategy, debug } = each;

  test("hooks run between events, when weak references are empty; what they throw is told, once for each", () =>
    withRuntime({ debug }, async (runtime) => {
      let handling = false;
      const destroyed = new Set<number>();
      const wrong: unknown[] = [];
      const Ticket = struct(
        "Ticket",
        { id: u32 },
        {
          destroy({ id }) {
            if (handling || destroyed.has(id)) wrong.push(id);
            destroyed.add(id);
            if (id % 100 === 0) throw new Error(`ticket ${id}`);
          },
        },
      );
      const Watch = struct("Watch", { ticket: weak(Ticket) });
      using heap = runtime.heap(strategy, { types: [Ticket, Watch], stepUnits: 100, minimumBytes: 1 });
      const told: [unknown, FailedEvent][] = [];
      await using loop = createLoop(runtime, { onError: (error, event) => told.push([error, event]) });
      let watch: (ReturnType<typeof makeWatch> & Disposable) | undefined;
      const makeWatch = (scope: Scope) => heap.new(Watch, scope);
      const kind = loop.on("kind", (id: number, { scope }) => {
        handling = true;
        const seen = watch?.ticket?.id;
        if (seen !== undefined && destroyed.has(seen)) wrong.push(`ticket ${seen} is seen`);
        const ticket = heap.new(Ticket, scope);
        ticket.id = id;
        watch ??= scope.keep(makeWatch(scope));
        watch.ticket = ticket;
        expect(watch.ticket?.id).toBe(id);
        handling = false;
      });
      void loop.run();
      for (let id = 1; id <= 1_000; id++) kind.post(id);
      while (loop.stats().queued > 0) await settled();
      for (let turns = 0; turns < 50; turns++) await settled(); // time for steps at leisure
      try {
        heap.collect();
      } catch (error) {
        told.push([error, { kind: "", sequence: -1, payload: undefined }]);
      }
      expect(wrong).toEqual([]);
      expect(destroyed.size).toBe(1_000);
      expect(watch!.ticket).toBeNull();
      expect(heap.stats().objects).toBe(1);
      // One step may run several hooks that throw.
      expect(told.length).toBeGreaterThan(0);
      expect(told.length).toBeLessThanOrEqual(10);
      for (const [error, { kind, sequence }] of told) {
        expect(error).toBeInstanceOf(DestroyHookError);
        expect(kind === "" ? sequence === -1 : kind === "kind" && sequence >= 0).toBe(true);
      }
    }));
});

/** What a step may do beyond its units: a block of cells that has been begun is swept to its end. */
const STEP_SLACK = 320;

/** The units that are due for what one event of the load makes, at most: some hundred objects; more where each may be visited and counted down. */
const EVENT_UNITS = { refcount: 10_000, "mark-sweep": 6_000 };

/** Makes a list of `length` nodes, and keeps its head. */
function makeLive(runtime: Runtime, heap: Heap, length: number): KeptNode {
  using scope = runtime.scope();
  let head = heap.cursor(Node);
  let next = heap.cursor(Node);
  for (let value = 0; value < length; value++) {
    heap.new(Node, scope, head);
    head.value = value;
    if (value > 0) head.next = next;
    [head, next] = [next, head];
  }
  return scope.keep(next);
}

/** What an event of the load makes: two dead cycles, and what lives for fifty events. */
const CYCLE = 49;
const LASTING = 2;
const LASTS = 50;

/** Events that leave a hundred objects each, one after another, to be driven by a loop. */
class Load {
  readonly #heap: Heap;
  readonly #kept: KeptNode[] = [];
  mostReserved = 0;

  constructor(heap: Heap) {
    this.#heap = heap;
  }

  get kept(): number {
    return LASTING * this.#kept.length;
  }

  /** The first part of an event; gives what its second part is to look at, and free. */
  begin(event: number, scope: Scope): NodeCursor[] {
    const heap = this.#heap;
    this.mostReserved = Math.max(this.mostReserved, heap.stats().reservedBytes);
    const heads = [makeChain(heap, scope, CYCLE, event), makeChain(heap, scope, CYCLE, event)];
    this.#kept.push(scope.keep(makeChain(heap, scope, LASTING, event)));
    return heads;
  }

  end(event: number, heads: NodeCursor[]): void {
    const heap = this.#heap;
    for (const head of heads) {
      const nodes = nodesOf(head);
      expect([nodes.length, nodes.at(-1)!.value]).toEqual([CYCLE, event + CYCLE - 1]);
      for (const node of nodes) heap.free(node);
    }
    if (this.#kept.length <= LASTS) return;
    const old = this.#kept.shift()!;
    expect(old.next?.value).toBe(old.value + 1);
    heap.free(old.next!);
    heap.free(old);
    heap.release(old);
  }
}

describe.each(withModules(strategies))("a loop at full load: $strategy, $name module", ({ strategy, debug }) => {
  const live = debug ? 20_000 : 200_000;
  // Where nothing is collected, some rounds of what lasts are enough.
  const events = strategy === "manual" ? 10 * LASTS : debug ? 2_000 : 6_000;
  const stepUnits = 4_000;
  const longestStep = {
    manual: 0,
    refcount: stepUnits + EVENT_UNITS.refcount,
    "mark-sweep": stepUnits + EVENT_UNITS["mark-sweep"],
    "mark-sweep-stop": Number.POSITIVE_INFINITY,
  };

  /** What the heap may have at the most, of what it had with the live objects only. */
  function mostReserved(reserved: number): number {
    if (strategy === "manual") return reserved + 8 * PAGE;
    // Twice what lives, and no less than three times a cycle's least allocation.
    return reserved + Math.max(reserved, 3 * (strategy === "refcount" ? MEBIBYTE / 4 : MEBIBYTE)) + 8 * PAGE;
  }

  test("no event waits for more than one step, and memory stays bounded, though nothing is ever idle", () =>
    withRuntime({ debug, maximumBytes: 256 * MEBIBYTE }, async (runtime) => {
      using heap = runtime.heap(strategy, { types: [Node], stepUnits });
      const root = makeLive(runtime, heap, live);
      heap.collect();
      const before = heap.stats();
      const program = new Load(heap);
      await using loop = createLoop(runtime);
      let unitsBefore = before.units;
      let longestGap = 0;
      let idleTurns = 0;
      const kind = loop.on("kind", (event: number, { scope }) => {
        longestGap = Math.max(longestGap, heap.stats().units - unitsBefore);
        if (event + 1 < events) kind.post(event + 1);
        else idleTurns = loop.stats().idleTurns;
        program.end(event, program.begin(event, scope));
        unitsBefore = heap.stats().units;
      });
      kind.post(0);
      await loop.runUntilIdle();
      const after = heap.stats();
      expect(idleTurns).toBe(0);
      expect(longestGap).toBeLessThanOrEqual(longestStep[strategy] + (strategy === "manual" ? 0 : STEP_SLACK));
      expect(program.mostReserved).toBeLessThanOrEqual(mostReserved(before.reservedBytes));
      if (strategy !== "manual") expect(after.cycles - before.cycles).toBeGreaterThanOrEqual(2);
      const { steps, units, cycles } = after;
      expect(loop.stats().collections).toMatchObject({ steps, units, cycles });
      heap.validate();
      heap.collect();
      expect(heap.stats().objects).toBe(live + program.kept);
      expect(root.value).toBe(live - 1);
    }));

  test("parked handlers find what they hold, and memory stays bounded, with sixty-four of them at any time", () =>
    withRuntime({ debug, maximumBytes: 256 * MEBIBYTE }, async (runtime) => {
      using heap = runtime.heap(strategy, { types: [Node], stepUnits });
      const root = makeLive(runtime, heap, live);
      heap.collect();
      const { reservedBytes } = heap.stats();
      const program = new Load(heap);
      await using loop = createLoop(runtime, { inFlight: 64, turn: { milliseconds: 1_000 } });
      const kind = loop.on("kind", async (event: number, { scope }) => {
        const heads = program.begin(event, scope);
        await settled();
        program.end(event, heads);
      });
      for (let event = 0; event < events; event++) {
        while (kind.post(event) === "rejected") await loop.runUntilIdle();
      }
      await loop.runUntilIdle();
      expect(loop.stats()).toMatchObject({ processed: events, inFlightHighWater: 64, scopesLive: 0 });
      // What parked handlers hold: their objects, of 40 bytes at most, or 64, and a handle for each cursor that they had.
      const held = 64 * (CYCLE + CYCLE + LASTING) * (64 + 3 * 8);
      expect(program.mostReserved).toBeLessThanOrEqual(mostReserved(reservedBytes) + held);
      heap.validate();
      heap.collect();
      expect(heap.stats().objects).toBe(live + program.kept);
      expect(root.value).toBe(live - 1);
    }));
});
