import fc from "fast-check";
import { createRuntime } from "tidemark";
import { describe, expect, test } from "vitest";
import type { PoolModel } from "../support/poolModel.js";
import { PoolWorld } from "../support/poolWorld.js";
import { MEBIBYTE, modules, PAGE, withoutStacks } from "../support/runtimes.js";
import { scale, scaled } from "../support/scale.js";

withoutStacks();

const operation = fc.record({
  type: fc.constantFrom(
    "make",
    "make",
    "makeMany",
    "makeMany",
    "free",
    "free",
    "freeMany",
    "freeMost",
    "iterate",
    "clear",
    "create",
    "destroy",
    "link",
    "follow",
    "disturb",
  ),
  pool: fc.nat({ max: 1000 }),
  pick: fc.nat({ max: 100_000 }),
});
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

function apply(world: PoolWorld, { type, pool, pick }: Operation, burst: number): void {
  if (type === "create" || world.pools.length === 0) {
    world.create(pick);
    return;
  }
  const model = world.pools[pool % world.pools.length]!;
  const { live, shape } = model;
  if (type === "make") model.make(pick % 2 === 0);
  else if (type === "makeMany") {
    const count = Math.min(shape.most - live.length, 1 + (pick % burst));
    for (let made = 0; made < count; made++) if (!model.make(made % 8 !== 0)) break;
  } else if (type === "disturb") world.disturb(pick);
  else if (type === "iterate") model.iterate(pick);
  else if (type === "clear") model.clear();
  else if (type === "destroy") {
    model.destroy();
    world.pools.splice(world.pools.indexOf(model), 1);
  } else if (live.length > 0) applyToRecord(model, type, pick, burst);
}

function applyToRecord(model: PoolModel, type: Operation["type"], pick: number, burst: number): void {
  const { live } = model;
  const record = live[pick % live.length]!;
  if (type === "free") model.free(record, pick % 2 === 0);
  else if (type === "link")
    for (let index = 0; index < 20; index++) model.link(record, live[(pick * 7) % live.length]!);
  else if (type === "follow") model.follow(record);
  else {
    const left = type === "freeMost" ? pick % 5 : Math.max(0, live.length - 1 - (pick % burst));
    for (let step = 1; live.length > left; step++)
      model.free(live[(pick + step * 7919) % live.length]!, step % 2 === 0);
  }
}

describe.each(modules)("pools of the $name module", ({ debug }) => {
  test("are what the model says, after each of a few operations", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 60, size: "max" }), async (operations) => {
        using runtime = await createRuntime({ debug, maximumBytes: 120 * PAGE, initialBytes: 2 * PAGE });
        const world = new PoolWorld(runtime, true);
        for (const each of operations) {
          apply(world, each, 60);
          world.check(each.pick);
        }
      }),
      { numRuns: scaled(60) },
    );
  });

  test("are what the model says over hundreds of thousands of operations", async () => {
    let operations = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(operation, { minLength: 600, maxLength: 1000, size: "max" }),
        fc.constantFrom(8 * MEBIBYTE, 64 * MEBIBYTE),
        async (list, maximumBytes) => {
          using runtime = await createRuntime({ debug, maximumBytes, initialBytes: 2 * PAGE });
          const world = new PoolWorld(runtime, false);
          list.forEach((each, index) => {
            apply(world, each, 2000);
            world.check(each.pick);
            if (index % 100 === 99) world.checkAll();
          });
          world.checkAll();
          operations += world.operations;
        },
      ),
      { numRuns: scaled(14), endOnFailure: true },
    );
    expect(operations).toBeGreaterThan(500_000 * Math.min(scale, 1));
  });
});
