import fc from "fast-check";
import type { QueuePolicy } from "tidemark";
import { describe, expect, test } from "vitest";
import { EventQueue } from "../../bindings/loop/queue.js";

interface Tag {
  readonly name: string;
}
const tag: Tag = { name: "tag" };

function drain(queue: EventQueue<Tag>): unknown[] {
  const payloads: unknown[] = [];
  while (queue.length > 0) {
    payloads.push(queue.shift());
  }
  return payloads;
}

describe("a queue", () => {
  test("takes exactly as many events as its capacity, which need not be a power of two", () => {
    for (const capacity of [1, 2, 3, 5, 8, 1000]) {
      const queue = new EventQueue<Tag>(capacity, 0);
      for (let index = 0; index < capacity; index++) {
        expect(queue.hasRoom).toBe(true);
        expect(queue.push(tag, index, "spill")).toBe("queued");
      }
      expect(queue.hasRoom).toBe(false);
      expect(queue.push(tag, capacity, "spill")).toBe("rejected");
      expect(queue.length).toBe(capacity);
      expect(drain(queue)).toEqual(Array.from({ length: capacity }, (_, index) => index));
    }
  });

  test("spills only what may spill, up to the overflow's bound", () => {
    const queue = new EventQueue<Tag>(1, 2);
    expect(queue.push(tag, 0, "spill")).toBe("queued");
    expect(queue.push(tag, 1, "reject")).toBe("rejected");
    expect(queue.push(tag, 1, "spill")).toBe("spilled");
    expect(queue.push(tag, 2, "spill")).toBe("spilled");
    expect(queue.push(tag, 3, "spill")).toBe("rejected");
    expect([queue.length, queue.overflowLength, queue.overflowHighWater, queue.spilled, queue.rejected]).toEqual([
      3, 2, 2, 2, 2,
    ]);
    expect(drain(queue)).toEqual([0, 1, 2]);
  });

  test("lets nothing overtake what is in the overflow", () => {
    const queue = new EventQueue<Tag>(2, 10);
    for (let index = 0; index < 5; index++) queue.push(tag, index, "spill");
    queue.shift();
    expect(queue.hasRoom).toBe(false);
    expect(queue.push(tag, "late", "reject")).toBe("rejected");
    expect(queue.push(tag, 5, "spill")).toBe("spilled");
    expect(drain(queue)).toEqual([1, 2, 3, 4, 5]);
  });

  test("keeps order through an overflow of many segments that fills and empties again and again", () => {
    const queue = new EventQueue<Tag>(3, 10_000);
    let next = 0;
    let expected = 0;
    for (let round = 0; round < 5; round++) {
      for (let index = 0; index < 5000; index++) queue.push(tag, next++, "spill");
      for (let index = 0; index < (round === 4 ? next - expected : 4000); index++) {
        const payload = queue.shift();
        if (payload !== expected) expect(payload).toBe(expected);
        expected++;
      }
    }
    expect(queue.length).toBe(next - expected);
  });

  test("goes on when it has had half a billion events", () => {
    for (const capacity of [3, 4]) {
      const queue = new EventQueue<Tag>(capacity, 4);
      const numbers = queue as unknown as { head: number; tail: number };
      numbers.head = numbers.tail = 2 ** 29 - 20;
      let next = 0;
      let expected = 0;
      for (let round = 0; round < 60; round++) {
        while (queue.push(tag, next, "spill") !== "rejected") next++;
        expect(queue.length).toBe(capacity + 4);
        for (let count = 0; count < 1 + (round % 7); count++) expect(queue.shift()).toBe(expected++);
        expect(queue.length).toBe(next - expected);
      }
      expect(drain(queue)).toEqual(Array.from({ length: next - expected }, (_, index) => expected + index));
      expect(numbers.tail).toBeLessThan(2 ** 29); // small integers to the engine, for ever
    }
  });

  test("lets go of a payload when it is handled, wherever it waited", async () => {
    const collected = new Set<string>();
    const registry = new FinalizationRegistry<string>((name) => collected.add(name));
    const calm = new EventQueue<Tag>(4, 0);
    const queue = new EventQueue<Tag>(1, 2);
    const push = (target: EventQueue<Tag>, name: string) => {
      const payload = { name };
      registry.register(payload, name);
      target.push(tag, payload, "spill");
    };
    push(calm, "calm");
    for (const name of ["ring", "overflow", "dropped"]) push(queue, name);
    const waste: unknown[] = [];
    const collect = async (count: number) => {
      for (let round = 0; round < 400 && collected.size < count; round++) {
        for (let index = 0; index < 40; index++) waste[index] = new ArrayBuffer(1 << 20);
        await new Promise((resolve) => setImmediate(resolve));
      }
      return [...collected].sort();
    };
    calm.shift();
    queue.shift();
    queue.shift();
    expect(await collect(3)).toEqual(["calm", "overflow", "ring"]);
    expect(queue.clear()).toBe(1);
    expect(await collect(4)).toEqual(["calm", "dropped", "overflow", "ring"]);
    expect(calm.length).toBe(0);
  });

  test("drops the oldest of the same kind for a newer one, and refuses that if there is none", () => {
    const [mine, other] = [{ name: "mine" }, { name: "other" }];
    const queue = new EventQueue<Tag>(3, 2);
    queue.push(other, 0, "reject");
    queue.push(mine, 1, "drop-oldest");
    queue.push(mine, 2, "drop-oldest");
    queue.push(other, 3, "spill");
    expect(queue.push(mine, 4, "drop-oldest")).toBe("displaced");
    expect(queue.displaced).toBe(1);
    expect(drain(queue)).toEqual([0, 2, 3, 4]);
    for (let index = 0; index < 3; index++) queue.push(other, index, "reject");
    expect(queue.push(mine, 3, "drop-oldest")).toBe("rejected");
    expect(drain(queue)).toEqual([0, 1, 2]);
  });

  test("behaves as two bounded lists, whatever is pushed, shifted and cleared", () => {
    const kinds = [{ name: "a" }, { name: "b" }, { name: "c" }];
    const operation = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          type: fc.constant("push" as const),
          policy: fc.constantFrom("reject" as const, "spill" as const, "drop-oldest" as const),
          kind: fc.constantFrom(...kinds),
        }),
      },
      {
        weight: 5,
        arbitrary: fc.record({ type: fc.constant("shift" as const), count: fc.integer({ min: 1, max: 8 }) }),
      },
      { weight: 1, arbitrary: fc.record({ type: fc.constant("burst" as const), count: fc.nat({ max: 3000 }) }) },
      { weight: 1, arbitrary: fc.record({ type: fc.constant("clear" as const) }) },
    );
    const check = (
      capacity: number,
      overflow: number,
      operations: (typeof operation extends fc.Arbitrary<infer T> ? T : never)[],
    ) => {
      const queue = new EventQueue<Tag>(capacity, overflow);
      let model: { kind: Tag; payload: number }[] = [];
      const counts = { ring: 0, overflow: 0, spilled: 0, rejected: 0, displaced: 0 };
      let next = 0;
      const expected = (kind: Tag, policy: QueuePolicy) => {
        if (model.length < capacity) return "queued";
        if (policy === "spill" && model.length < capacity + overflow) return "spilled";
        const oldest = model.slice(0, capacity).findIndex((event) => event.kind === kind);
        if (policy !== "drop-oldest" || oldest < 0) return "rejected";
        model.splice(oldest, 1);
        return "displaced";
      };
      const push = (kind: Tag, policy: QueuePolicy) => {
        const result = queue.push(kind, next, policy);
        expect(result).toBe(expected(kind, policy));
        if (result !== "queued") counts[result as "spilled" | "rejected" | "displaced"]++;
        if (result !== "rejected") model.push({ kind, payload: next });
        next++;
        counts.ring = Math.max(counts.ring, Math.min(model.length, capacity));
        counts.overflow = Math.max(counts.overflow, model.length - capacity);
      };
      for (const operation of operations) {
        if (operation.type === "push") push(operation.kind, operation.policy);
        if (operation.type === "burst") {
          for (let index = 0; index < operation.count; index++) push(kinds[index % 3]!, "spill");
        }
        if (operation.type === "clear") {
          expect(queue.clear()).toBe(model.length);
          model = [];
        }
        if (operation.type === "shift") {
          for (let index = 0; index < operation.count && model.length > 0; index++) {
            const { kind, payload } = model.shift()!;
            expect(queue.kind).toBe(kind);
            expect(queue.shift()).toBe(payload);
          }
        }
        expect(queue.length).toBe(model.length);
        expect(queue.hasRoom).toBe(model.length < capacity);
        expect(queue.overflowLength).toBe(Math.max(0, model.length - capacity));
      }
      expect({
        ring: queue.ringHighWater,
        overflow: queue.overflowHighWater,
        spilled: queue.spilled,
        rejected: queue.rejected,
        displaced: queue.displaced,
      }).toEqual(counts);
      expect(drain(queue)).toEqual(model.map(({ payload }) => payload));
    };
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 0, max: 2500 }),
        fc.array(operation, { maxLength: 120 }),
        check,
      ),
      { numRuns: 300 },
    );
  });
});
