import fc from "fast-check";
import { createRuntime, f64, struct } from "tidemark";
import { describe, expect, test } from "vitest";
import { World } from "../support/arenaModel.js";
import { MEBIBYTE, modules, PAGE, withRuntime } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";

// Sizes around every edge there is: records, small blocks, page blocks, doubling, oversize runs.
const around = (...edges: number[]) =>
  fc.constantFrom(...edges.flatMap((edge) => [edge - 8, edge - 1, edge, edge + 1, edge + 8]));
const size = fc.oneof(
  { weight: 20, arbitrary: fc.integer({ min: 1, max: 96 }) },
  { weight: 5, arbitrary: fc.integer({ min: 97, max: 5000 }) },
  { weight: 2, arbitrary: around(4096, 4352 - 16, 4352 - 16 - 120, 4352) },
  { weight: 2, arbitrary: around(PAGE - 4096, PAGE - 16, PAGE, 2 * PAGE - 16, 2 * PAGE) },
  { weight: 1, arbitrary: around(4 * PAGE - 4096, 4 * PAGE, 8 * PAGE, 16 * PAGE - 16, 16 * PAGE) },
);
const alignment = fc.constantFrom(1, 1, 1, 8, 8, 16, 32, 64, 256, 1024, 4096);
const limit = fc.option(fc.oneof(around(64, 4096), fc.integer({ min: 1, max: 300_000 })), { nil: undefined, freq: 2 });
const hint = fc.option(fc.oneof(around(4096, PAGE, 16 * PAGE), fc.integer({ min: 1, max: 2 * MEBIBYTE })), {
  nil: undefined,
  freq: 2,
});

const which = { arena: fc.nat({ max: 1000 }), pick: fc.nat({ max: 1000 }), other: fc.nat({ max: 1000 }) };
const type = <T extends string>(name: T) => fc.constant(name);
const operation = fc.oneof(
  { weight: 12, arbitrary: fc.record({ type: type("raw"), ...which, size, alignment }) },
  { weight: 10, arbitrary: fc.record({ type: type("bytes"), ...which, size }) },
  { weight: 16, arbitrary: fc.record({ type: type("node"), ...which }) },
  { weight: 2, arbitrary: fc.record({ type: type("array"), ...which, count: fc.nat({ max: 60 }) }) },
  { weight: 3, arbitrary: fc.record({ type: type("copy"), ...which }) },
  { weight: 5, arbitrary: fc.record({ type: type("mark"), ...which }) },
  { weight: 4, arbitrary: fc.record({ type: type("rewind"), ...which }) },
  { weight: 1, arbitrary: fc.record({ type: type("rewindDead"), ...which }) },
  { weight: 3, arbitrary: fc.record({ type: type("reset"), ...which }) },
  { weight: 3, arbitrary: fc.record({ type: type("event"), ...which, count: fc.nat({ max: 9 }) }) },
  { weight: 2, arbitrary: fc.record({ type: type("child"), ...which, limit, hint }) },
  { weight: 1, arbitrary: fc.record({ type: type("destroy"), ...which }) },
  { weight: 1, arbitrary: fc.record({ type: type("root"), ...which, limit, hint }) },
  { weight: 4, arbitrary: fc.record({ type: type("look"), ...which }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

const ARENAS = 12;

function apply(world: World, operation: Operation): void {
  const { arenas } = world;
  const model = arenas[operation.arena % Math.max(arenas.length, 1)];
  if (operation.type === "root") {
    if (arenas.length >= ARENAS) return;
    const { limit, hint } = operation;
    const options = { ...(limit && { maximumBytes: limit }), ...(hint && { sizeHint: hint }) };
    world.attemptRoot(options);
    return;
  }
  if (operation.type === "look") {
    for (const item of [...world.live].slice(operation.pick % 50, (operation.pick % 50) + 3)) world.checkItem(item);
    const ended = world.ended[world.ended.length - 1 - (operation.other % Math.max(world.ended.length, 1))];
    if (ended !== undefined) world.checkItem(ended);
    if (operation.arena % 10 === 0) model?.checkStats();
    return;
  }
  if (model === undefined) return;
  const nodes = () => arenas[operation.other % arenas.length]!.nodes;
  switch (operation.type) {
    case "raw":
      model.raw(operation.size, operation.alignment);
      break;
    case "bytes":
      model.bytes(operation.size);
      break;
    case "node": {
      const near = model.nodes;
      const far = nodes();
      model.node(near[operation.pick % (near.length + 1)], far[operation.other % (far.length + 1)]);
      break;
    }
    case "array":
      model.array(operation.count);
      break;
    case "copy": {
      const node = nodes()[operation.pick % Math.max(nodes().length, 1)];
      if (node !== undefined) model.copy(node);
      break;
    }
    case "mark":
      if (model.frames.length < 8) model.mark();
      break;
    case "rewind":
      if (model.frames.length > 1) model.rewind(1 + (operation.pick % (model.frames.length - 1)));
      break;
    case "rewindDead": {
      const dead = world.deadMarks[operation.pick % Math.max(world.deadMarks.length, 1)];
      if (dead !== undefined && !dead.arena.arena.destroyed) dead.arena.rewindDead(dead.mark);
      break;
    }
    case "reset":
      model.reset();
      break;
    case "event":
      // What the loop does with a region, event after event.
      model.reset();
      for (let index = 0; index < operation.count; index++) model.node(undefined, model.nodes[index % 3]);
      model.reset();
      break;
    case "child":
      if (arenas.length < ARENAS) model.child(operation.limit, operation.hint);
      break;
    case "destroy":
      model.destroy();
      break;
  }
}

async function run(
  debug: boolean,
  maximumBytes: number,
  operations: readonly Operation[],
  thorough: boolean,
): Promise<void> {
  const runtime = await createRuntime({ debug, maximumBytes, initialBytes: 2 * PAGE });
  const world = new World(runtime, thorough);
  world.attemptRoot({});
  for (const operation of operations) {
    apply(world, operation);
    world.check();
  }
  world.checkAll();
  for (const root of [...world.roots]) root.destroy();
  for (const item of world.ended.slice(-1000)) world.checkItem(item);
  runtime.validate();
  const { arenas, smallBlocks, scratch } = runtime.stats().bytesByOwner;
  // What remains: the descriptor of the node type, and at most one empty page of small blocks.
  expect([arenas, scratch]).toEqual([0, 0]);
  expect(smallBlocks).toBeLessThanOrEqual(2 * PAGE);
  runtime.dispose();
}

const maximumBytes = fc.constantFrom(5 * PAGE, MEBIBYTE, 24 * MEBIBYTE, 256 * MEBIBYTE);

describe.each(modules)("arenas of the $name module", ({ debug }) => {
  test("are rewound without a look at the children that were there before the mark", () =>
    withRuntime({ debug }, (runtime) => {
      const Ticket = struct("Ticket", { id: f64 }, { destroy() {} });
      const arena = runtime.arena();
      let looks = 0;
      const older = Array.from({ length: 100 }, () => {
        const child = arena.arena();
        const { $birth } = child;
        return Object.defineProperty(child, "$birth", {
          get() {
            looks++;
            return $birth;
          },
        });
      });
      const mark = arena.mark();
      const newer = [arena.arena(), arena.arena(), arena.arena()];
      newer[1]!.destroy();
      older[7]!.destroy();
      newer[2]!.arena().new(Ticket);
      arena.new(Ticket);
      for (let count = 0; count < 10; count++) arena.rewind(mark);
      expect(looks).toBeLessThan(50);
      expect(newer.map(({ destroyed }) => destroyed)).toEqual([true, true, true]);
      expect(older.filter(({ destroyed }) => destroyed)).toEqual([older[7]]);
      arena.reset();
      expect(older.every(({ destroyed }) => destroyed)).toBe(true);
      expect(arena.stats().children).toBe(0);
    }));

  test("do what the model says, with all contents, refs, figures and invariants looked at after each step", async () => {
    await fc.assert(
      fc.asyncProperty(maximumBytes, fc.array(operation, { maxLength: 80, size: "max" }), (maximum, operations) =>
        run(debug, maximum, operations, true),
      ),
      { numRuns: scaled(100) },
    );
  });

  test("do what the model says in long runs", async () => {
    let count = 0;
    await fc.assert(
      fc.asyncProperty(
        maximumBytes,
        fc.array(operation, { minLength: 1000, maxLength: 1000, size: "max" }),
        async (maximum, operations) => {
          await run(debug, maximum, operations, false);
          count += operations.length;
        },
      ),
      { numRuns: scaled(200), endOnFailure: true },
    );
    expect(count).toBeGreaterThanOrEqual(scaled(200) * 1000);
  });
});
