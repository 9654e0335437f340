import {
  coalesce,
  createRuntime,
  InvalidArgumentError,
  type KindOptions,
  LoopClosedError,
  type PostResult,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { NOTHING_LEFT, realLoop } from "./realLoop.js";
import { Outcome } from "./simulation.js";

interface Quote {
  readonly symbol: string;
  readonly price: number;
}

describe("the policy drop-oldest", () => {
  test("drops the oldest event of the same kind that waits, and keeps the order of all others", async () => {
    const { loop, pass } = await realLoop({ queue: { capacity: 4, overflow: 2 } });
    const seen: string[] = [];
    const fresh = loop.on("fresh", (value: number) => void seen.push(`fresh ${value}`), { policy: "drop-oldest" });
    const other = loop.on("other", (value: number) => void seen.push(`other ${value}`), { policy: "spill" });
    const results: PostResult[] = [other.post(0), fresh.post(1), other.post(2), fresh.post(3)];
    results.push(fresh.post(4), other.post(5), fresh.post(6));
    expect(results).toEqual(["queued", "queued", "queued", "queued", "displaced", "spilled", "displaced"]);
    loop.run();
    await pass();
    expect(seen).toEqual(["other 0", "other 2", "fresh 4", "other 5", "fresh 6"]);
    expect(loop.stats()).toMatchObject({ ...NOTHING_LEFT, displaced: 2, dropped: 2, processed: 5 });
    expect(await loop.close()).toEqual({ processed: 5, dropped: 2, abandoned: 0 });
  });

  test("refuses a post where none of its kind waits, and drops nobody else's", async () => {
    const { loop, pass } = await realLoop({ queue: { capacity: 2, overflow: 0 } });
    const seen: number[] = [];
    const other = loop.on("other", (value: number) => void seen.push(value));
    const fresh = loop.on("fresh", (value: number) => void seen.push(value), { policy: "drop-oldest" });
    other.post(1);
    other.post(2);
    expect(fresh.post(3)).toBe("rejected");
    loop.run();
    await pass();
    expect([seen, loop.stats().displaced]).toEqual([[1, 2], 0]);
    await loop.close();
  });

  test("does not make a run fail that finds everything else handled", async () => {
    const { loop, pass } = await realLoop({ queue: { capacity: 1, policy: "drop-oldest" } });
    const kind = loop.on("kind", (_: number) => {});
    kind.post(1);
    expect(kind.post(2)).toBe("displaced");
    const idle = new Outcome(loop.runUntilIdle());
    const close = new Outcome(loop.close());
    await pass();
    expect([idle.state, close.value]).toEqual(["resolved", { processed: 1, dropped: 1, abandoned: 0 }]);
  });
});

describe("the policy coalesce", () => {
  test("has the latest payload of each key handled, in the place of the first", async () => {
    const { loop, pass } = await realLoop({ queue: { capacity: 2, overflow: 0 } });
    const seen: Quote[] = [];
    const kind = loop.on("quote", (quote: Quote) => void seen.push(quote), {
      policy: coalesce(({ symbol }: Quote) => symbol),
    });
    const post = (symbol: string, price: number) => kind.post({ symbol, price });
    expect([post("a", 1), post("b", 2), post("a", 3), post("b", 4), post("a", 5), post("c", 6)]).toEqual([
      "queued",
      "queued",
      "coalesced",
      "coalesced",
      "coalesced",
      "rejected",
    ]);
    loop.run();
    await pass();
    expect(seen).toEqual([
      { symbol: "a", price: 5 },
      { symbol: "b", price: 4 },
    ]);
    expect(post("c", 7)).toBe("queued"); // refused before, so it was not kept for its key
    await pass();
    expect(seen).toHaveLength(3);
    expect(loop.stats()).toMatchObject({ coalesced: 3, rejected: 1, processed: 3, dropped: 0 });
    await loop.close();
  });

  test("queues a key anew from its handler on, whatever becomes of that", async () => {
    const { loop, pass, failures } = await realLoop();
    const seen: string[] = [];
    const quick = loop.on(
      "quick",
      (text: string) => {
        if (seen.push(text) === 1) expect(quick.post("again")).toBe("queued");
        throw new Error("planned");
      },
      { policy: coalesce(() => Number.NaN) },
    );
    const fiber = loop.on(
      "fiber",
      function* (text: string) {
        seen.push(text);
        if (text === "fiber") expect(fiber.post("anew")).toBe("queued");
        yield;
      },
      { policy: coalesce(() => "key") },
    );
    quick.post("first");
    fiber.post("lost");
    expect(fiber.post("fiber")).toBe("coalesced");
    const idle = new Outcome(loop.runUntilIdle());
    await pass();
    expect([seen, idle.state]).toEqual([["first", "fiber", "again", "anew"], "resolved"]);
    expect(failures.map(({ event }) => event.payload)).toEqual(["first", "again"]); // what was posted, nothing of ours
    await loop.close();
  });

  test("hands on what its key throws as the cause of a typed error, and nothing has been queued", async () => {
    const { loop, pass } = await realLoop();
    const seen: unknown[] = [];
    const fault = new Error("no symbol");
    const kind = loop.on("quote", (quote: Quote | undefined) => void seen.push(quote), {
      policy: coalesce((quote: Quote | undefined) => {
        if (quote === undefined) throw fault;
        return quote.symbol;
      }),
    });
    let error: unknown;
    try {
      kind.post(undefined);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect((error as Error).cause).toBe(fault);
    expect(loop.stats()).toMatchObject({ queued: 0, rejected: 0, coalesced: 0 });
    kind.post({ symbol: "a", price: 1 });
    loop.run();
    await pass();
    expect(seen).toHaveLength(1);
    await loop.close();
  });

  test("takes nothing any more when the loop closes, not even in place of what waits", async () => {
    const { loop, pass } = await realLoop();
    const seen: number[] = [];
    const kind = loop.on("kind", (value: number) => void seen.push(value), { policy: coalesce(() => 0) });
    kind.post(1);
    const close = new Outcome(loop.close());
    expect(() => kind.post(2)).toThrow(LoopClosedError);
    await pass();
    expect([seen, close.value]).toEqual([[1], { processed: 1, dropped: 0, abandoned: 0 }]);
  });

  test("refuses a key that is no function, and the name stays free", async () => {
    const { loop } = await realLoop();
    for (const key of [undefined, null, "symbol", {}]) {
      expect(() => coalesce(key as never)).toThrow(InvalidArgumentError);
      const options = { policy: { key } } as unknown as KindOptions;
      expect(() => loop.on("kind", () => {}, options), String(key)).toThrow(InvalidArgumentError);
    }
    loop.on("kind", () => {});
    await loop.close();
  });
});

describe("onDrain", () => {
  test("is called when the queue has become empty after a post found no room, once, and not otherwise", async () => {
    let drains = 0;
    const { loop, pass } = await realLoop({ queue: { capacity: 2, overflow: 1, onDrain: () => drains++ } });
    const kind = loop.on("kind", (_: number) => {}, { policy: "spill" });
    loop.run();
    kind.post(1);
    await pass();
    expect(drains).toBe(0);
    for (let value = 0; value < 5; value++) kind.post(value);
    await pass();
    expect(drains).toBe(1);
    kind.post(1);
    await pass();
    expect(drains).toBe(1);
    await loop.close();
  });

  test("is called after a post that took the place of another", async () => {
    let drains = 0;
    const { loop, pass } = await realLoop({
      queue: { capacity: 2, overflow: 0, policy: "drop-oldest", onDrain: () => drains++ },
    });
    const kind = loop.on("kind", (_: number) => {});
    loop.run();
    for (let value = 0; value < 2; value++) kind.post(value);
    await pass();
    expect(drains).toBe(0);
    for (let value = 0; value < 3; value++) kind.post(value);
    await pass();
    expect(drains).toBe(1);
    await loop.close();
  });

  test("may post, close the loop, or begin another run, and the loop sees to it once it has returned", async () => {
    for (const action of ["post", "close", "run"]) {
      const seen: number[] = [];
      let close: Outcome<unknown> | undefined;
      let run: Outcome<void> | undefined;
      const { loop, pass, host } = await realLoop({
        queue: {
          capacity: 1,
          onDrain: () => {
            if (action === "post") kind.post(2);
            else if (action === "close") close = new Outcome(loop.close());
            else run = new Outcome(loop.run());
          },
        },
      });
      const kind = loop.on("kind", (value: number) => void seen.push(value));
      kind.post(1);
      kind.post(9);
      const idle = new Outcome(loop.runUntilIdle());
      await pass();
      expect(idle.state, action).toBe("resolved");
      expect(seen, action).toEqual(action === "post" ? [1, 2] : [1]);
      if (action === "close") expect(close?.value).toEqual({ processed: 1, dropped: 0, abandoned: 0 });
      expect(run?.state, action).toBe(action === "run" ? "rejected" : undefined); // the one before has not ended
      expect(host.hops, action).toHaveLength(0);
      if (action !== "close") await loop.close();
    }
  });

  test("is reported when it throws or rejects, and the loop goes on; without onError it stops", async () => {
    const throwing = () => {
      throw new Error("planned");
    };
    const rejecting = () => Promise.reject(new Error("planned"));
    for (const [hasHandler, onDrain] of [true, false].flatMap((has) =>
      [throwing, rejecting].map((f) => [has, f] as const),
    )) {
      const { loop, pass, failures } = await realLoop({
        queue: { capacity: 1, onDrain },
        ...(!hasHandler && { onError: undefined }),
      });
      const kind = loop.on("kind", (_: number) => {});
      kind.post(1);
      kind.post(2);
      const run = new Outcome(loop.run());
      await pass();
      expect([failures.length, run.state]).toEqual(hasHandler ? [1, "pending"] : [0, "rejected"]);
      if (!hasHandler) expect((run.error as Error).message).toBe("planned");
      await loop.close();
    }
  });

  test("is not told that a close has emptied the queue, and must be a function", async () => {
    let drains = 0;
    const { loop, pass } = await realLoop({ queue: { capacity: 1, onDrain: () => drains++ } });
    const kind = loop.on("kind", (_: number) => {});
    kind.post(1);
    kind.post(2);
    const close = new Outcome(loop.close({ mode: "discard" }));
    await pass();
    expect([close.state, drains]).toEqual(["resolved", 0]);
    using runtime = await createRuntime();
    await expect(realLoop({ queue: { onDrain: 5 as never } }, runtime)).rejects.toBeInstanceOf(InvalidArgumentError);
  });
});

describe("ready", () => {
  test("waits for room in the ring of the kind that is given, whatever room others have", async () => {
    const { loop, pass } = await realLoop({ queue: { capacity: 1, overflow: 0 } });
    const normal = loop.on("normal", (_: number) => {});
    const high = loop.on("high", (_: number) => {}, { priority: "high" });
    high.post(1);
    const [mine, others] = [new Outcome(loop.ready(high)), new Outcome(loop.ready())];
    await pass();
    expect([mine.state, others.state]).toEqual(["pending", "resolved"]);
    expect(normal.post(1)).toBe("queued");
    loop.run();
    await pass();
    expect(mine.state).toBe("resolved");
    await loop.close();
  });

  test("refuses what is no kind of this loop, by a rejection", async () => {
    const { loop } = await realLoop();
    const { loop: other } = await realLoop();
    const foreign = other.on("kind", () => {});
    loop.on("kind", () => {});
    for (const kind of [null, {}, "kind", 5, { name: "kind" }, foreign]) {
      await expect(loop.ready(kind as never), String(kind)).rejects.toBeInstanceOf(InvalidArgumentError);
    }
    await loop.close();
    await other.close();
  });

  test("of all rings is refused when the loop closes", async () => {
    const { loop, pass } = await realLoop({ queue: { capacity: 1 } });
    const kinds = (["high", "normal", "low"] as const).map((priority) => loop.on(priority, () => {}, { priority }));
    for (const kind of kinds) kind.post(undefined);
    const waiting = kinds.map((kind) => new Outcome(loop.ready(kind)));
    const close = new Outcome(loop.close({ mode: "discard" }));
    await pass();
    expect(close.value).toEqual({ processed: 0, dropped: 3, abandoned: 0 });
    for (const { error } of waiting) expect(error).toBeInstanceOf(LoopClosedError);
  });
});
