import { InvalidArgumentError, type Priority } from "tidemark";
import { expect, test } from "vitest";
import { realLoop } from "./realLoop.js";

const PRIORITIES: readonly Priority[] = ["high", "normal", "low"];

/** How many of each stand in a list. */
const shares = (seen: readonly Priority[]) =>
  PRIORITIES.map((priority) => seen.filter((other) => other === priority).length);

test("of eight events five are of high priority, two of normal, and one of low, the highest first", async () => {
  const { loop, pass } = await realLoop();
  const seen: Priority[] = [];
  const kinds = PRIORITIES.map((priority) => loop.on(priority, (_: number) => void seen.push(priority), { priority }));
  for (let index = 0; index < 80; index++) for (const kind of kinds) kind.post(index);
  loop.run();
  await pass();
  for (let round = 0; round < 16; round++) {
    expect(shares(seen.slice(8 * round, 8 * round + 8)), `round ${round}`).toEqual([5, 2, 1]);
  }
  expect(seen.slice(0, 8).join()).toBe("high,high,high,high,high,normal,normal,low");
  expect(shares(seen)).toEqual([80, 80, 80]);
  await loop.close();
});

test("one that waits alone has all the time, and that costs it one round later at the most", async () => {
  const { loop, pass } = await realLoop({ turn: { events: 8 } });
  const seen: Priority[] = [];
  const [high, , low] = PRIORITIES.map((priority) =>
    loop.on(priority, (_: number) => void seen.push(priority), { priority }),
  );
  for (let index = 0; index < 20; index++) low!.post(index);
  loop.run();
  await pass();
  expect(seen).toHaveLength(20);
  for (let index = 0; index < 16; index++) for (const kind of [high!, low!]) kind.post(index);
  await pass();
  expect(shares(seen.slice(20, 31))).toEqual([10, 0, 1]);
  await loop.close();
});

test("one that has had its share while the others had nothing waits for two shares of each of them at the most", async () => {
  for (const [first, others] of [
    ["high", 3],
    ["normal", 11],
    ["low", 14],
  ] as const) {
    const { loop, pass } = await realLoop();
    const seen: Priority[] = [];
    const kinds = PRIORITIES.map((priority) =>
      loop.on(
        priority,
        (isLast: boolean) => {
          seen.push(priority);
          if (isLast) for (let index = 0; index < 40; index++) for (const kind of kinds) kind.post(false);
        },
        { priority },
      ),
    );
    // It uses up its share alone; with the last event of that the others come.
    const share = { high: 5, normal: 2, low: 1 }[first];
    for (let index = 1; index <= share; index++) kinds[PRIORITIES.indexOf(first)]!.post(index === share);
    loop.run();
    await pass();
    expect(seen.indexOf(first, share) - share, first).toBe(others);
    for (let start = share + others; start + 8 < 64; start++) {
      expect(shares(seen.slice(start, start + 8)), `${first}, from ${start} on`).toEqual([5, 2, 1]);
    }
    await loop.close();
  }
});

test("none starves the others by posting to itself for ever, within one turn or from turn to turn", async () => {
  for (const events of [1, 3, 4096]) {
    const { loop, host } = await realLoop({ turn: { events } });
    const seen: Priority[] = [];
    const kinds = PRIORITIES.map((priority) => {
      const kind = loop.on(
        priority,
        (_: number) => {
          seen.push(priority);
          kind.post(0);
        },
        { priority },
      );
      return kind;
    });
    for (const kind of kinds) for (let copies = 0; copies < 8; copies++) kind.post(0);
    loop.run();
    while (seen.length < 800) await host.step();
    for (let at = 0; at + 16 <= 800; at += 8) {
      expect(
        shares(seen.slice(at, at + 16)).every((count) => count > 0),
        `${events} a turn, at ${at}`,
      ).toBe(true);
    }
    const close = loop.close({ mode: "discard" });
    await host.rest();
    await close;
  }
});

test("a turn handles no more events than it may, whatever their priorities", async () => {
  for (let events = 1; events < 10; events++) {
    const { loop, host } = await realLoop({ turn: { events } });
    const seen: Priority[] = [];
    const kinds = PRIORITIES.map((priority) =>
      loop.on(priority, (_: number) => void seen.push(priority), { priority }),
    );
    for (const [index, kind] of kinds.entries()) for (let copies = 0; copies < 1 + 9 * index; copies++) kind.post(0);
    loop.run();
    const turns: number[] = [];
    for (let before = 0; before < 30; before = seen.length) {
      await host.step();
      if (seen.length > before) turns.push(seen.length - before);
    }
    expect(turns.slice(0, -1), `${events} a turn`).toEqual(turns.slice(1).map(() => events));
    expect(turns.at(-1)).toBeLessThanOrEqual(events);
    await loop.close();
  }
});

test("order is strict within a priority, across its kinds and its overflow", async () => {
  const { loop, pass } = await realLoop({ queue: { capacity: 4, overflow: 100, policy: "spill" } });
  const seen: Record<string, number[]> = { high: [], low: [] };
  const kinds = ["high", "high", "low", "low"].map((priority, index) =>
    loop.on(`${priority} ${index}`, (value: number) => void seen[priority]!.push(value), {
      priority: priority as Priority,
    }),
  );
  for (let value = 0; value < 60; value++) kinds[value % 4]!.post(value);
  loop.run();
  await pass();
  for (const values of Object.values(seen)) {
    expect(values).toHaveLength(30);
    expect(values).toEqual([...values].sort((left, right) => left - right));
  }
  await loop.close();
});

test("each has the loop's capacity for itself, and a kind may bring a new one while a turn is under way", async () => {
  const { loop, pass } = await realLoop({ queue: { capacity: 2, overflow: 0 } });
  const seen: string[] = [];
  const normal = loop.on("normal", (_: number) => {
    seen.push("normal");
    if (seen.length > 1) return;
    const high = loop.on("high", () => void seen.push("high"), { priority: "high" });
    expect([high.post(undefined), high.post(undefined), high.post(undefined)]).toEqual([
      "queued",
      "queued",
      "rejected",
    ]);
  });
  expect([normal.post(1), normal.post(2), normal.post(3)]).toEqual(["queued", "queued", "rejected"]);
  loop.run();
  await pass();
  expect(seen.sort()).toEqual(["high", "high", "normal", "normal"]);
  expect(loop.stats()).toMatchObject({ rejected: 2, queueHighWater: 2, queued: 0 });
  await loop.close();
});

test("another word is refused, and the name stays free", async () => {
  const { loop } = await realLoop();
  for (const priority of ["urgent", "", null, 1, {}]) {
    expect(() => loop.on("kind", () => {}, { priority: priority as Priority })).toThrow(InvalidArgumentError);
  }
  loop.on("kind", () => {}, { priority: "low" });
  await loop.close();
});
