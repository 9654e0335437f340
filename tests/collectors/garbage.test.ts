import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { strategies } from "../support/heaps.js";

const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;

/** Runs in a process of its own, where nobody else makes garbage; a loop is called for a thousand rounds, as events are. */
const program = `
  import { PerformanceObserver } from "node:perf_hooks";
  const { array, createRuntime, f64, ref, struct, u32 } = await import(${JSON.stringify(entry)});
  const [strategy, kind] = process.argv.slice(1);
  const runtime = await createRuntime();
  const Node = struct("Node", { value: f64, id: u32, next: ref("Node"), list: ref(array(f64)) });
  const heap = runtime.heap(strategy, { types: [Node, array(f64)] });
  const sum = new Float64Array(1);
  const outer = runtime.scope();
  const scope = runtime.scope();
  const cursor = heap.cursor(Node);
  const walker = heap.cursor(Node);
  const head = heap.new(Node, outer);
  for (let index = 0; index < 100; index++) {
    heap.new(Node, outer, cursor).next = head.next;
    head.next = cursor;
  }
  const other = heap.new(Node, outer);
  const list = heap.array(f64, 8, outer);
  other.list = list;
  let kept;

  const kinds = {
    making(rounds) {
      for (let round = 0; round < rounds; round++) {
        heap.new(Node, scope, cursor);
        cursor.id = round;
        sum[0] += cursor.id;
        if (strategy === "manual") heap.free(cursor);
      }
      scope.end();
      scope.$open();
      heap.step(100_000);
    },
    storing(rounds) {
      for (let round = 0; round < rounds; round++) {
        other.next = round & 1 ? head : null;
        other.list = list;
      }
    },
    walking(rounds) {
      walker.moveTo(head);
      for (let round = 0; round < rounds; round++) {
        sum[0] += walker.id;
        if (!walker.follow("next")) walker.moveTo(head);
        other.follow("list", list);
      }
    },
    floats(rounds) {
      for (let round = 0; round < rounds; round++) {
        heap.new(Node, scope, cursor);
        cursor.value = round / 2;
        cursor.next = head;
        if (cursor.follow("next", walker)) sum[0] += cursor.value + walker.value;
      }
    },
    waste(rounds) {
      for (let round = 0; round < rounds; round++) kept = { round, sum: sum[0] };
    },
  };
  const settle = () => {
    scope.end();
    scope.$open();
    heap.step(100_000);
  };
  const play = (rounds) => {
    for (let batch = 0; batch < rounds; batch += 1000) {
      kinds[kind](1000);
      if (kind === "floats") settle();
    }
  };
  play(200_000);
  let collections = 0;
  const observer = new PerformanceObserver((list) => { collections += list.getEntries().length; });
  observer.observe({ entryTypes: ["gc"] });
  const counted = () => new Promise((resolve) => setTimeout(resolve, 20));
  let fewest = Infinity;
  for (let attempt = 0; attempt < 8 && fewest > 0; attempt++) {
    gc(); // so that what was there before cannot fill the young generation up
    await counted();
    collections = 0;
    play(1_000_000);
    await counted();
    fewest = Math.min(fewest, collections);
  }
  heap.validate();
  console.log(fewest);
`;

async function collectionsOf(strategy: string, kind: string): Promise<number> {
  const node = promisify(execFile);
  const { stdout } = await node(process.execPath, [
    "--expose-gc",
    "--input-type=module",
    "--eval",
    program,
    strategy,
    kind,
  ]);
  return JSON.parse(stdout);
}

test.each(strategies.flatMap((strategy) => ["making", "storing", "walking"].map((kind) => [kind, strategy] as const)))(
  "a million times %s under %s with a cursor that is given makes no garbage of the engine's",
  async (kind, strategy) => {
    expect(await collectionsOf(strategy, kind)).toBe(0);
  },
);

// A float that is given to, or comes from, an accessor that V8 has not compiled in place is garbage. What it compiles in place
// depends on what it has seen when its compiler's thread gets its turn, which differs from process to process on a busy machine.
test.each(strategies.filter((strategy) => strategy !== "manual"))(
  "a million objects with floats in them, made, referred to and followed under %s, make no garbage of the engine's",
  { retry: 2 },
  async (strategy) => {
    expect(await collectionsOf(strategy, "floats")).toBe(0);
  },
);

test("garbage is counted, so that the counts mean something", async () => {
  expect(await collectionsOf("manual", "waste")).toBeGreaterThan(0);
});
