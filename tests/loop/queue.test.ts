import fc from "fast-check";
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
        expect(queue.push(tag, index, true)).toBe("queued");
      }
      expect(queue.hasRoom).toBe(false);
      expect(queue.push(tag, capacity, true)).toBe("rejected");
      expect(queue.length).toBe(capacity);
      expect(drain(queue)).toEqual(Array.from({ length: capacity }, (_, index) => index));
    }
  });

  test("spills only what may spill, up to the overflow's bound", () => {
    const queue = new EventQueue<Tag>(1, 2);
    expect(queue.push(tag, 0, true)).toBe("queued");
    expect(queue.push(tag, 1, false)).toBe("rejected");
    expect(queue.push(tag, 1, true)).toBe("spilled");
    expect(queue.push(tag, 2, true)).toBe("spilled");
    expect(queue.push(tag, 3, true)).toBe("rejected");
    expect([queue.length, queue.overflowLength, queue.overflowHighWater, queue.spilled, queue.rejected]).toEqual([
      3, 2, 2, 2, 2,
    ]);
    expect(drain(queue)).toEqual([0, 1, 2]);
  });

  test("lets nothing overtake what is in the overflow", () => {
    const queue = new EventQueue<Tag>(2, 10);
    for (let index = 0; index < 5; index++) queue.push(tag, index, true);
    queue.shift();
    expect(queue.hasRoom).toBe(false);
    expect(queue.push(tag, "late", false)).toBe("rejected");
    expect(queue.push(tag, 5, true)).toBe("spilled");
    expect(drain(queue)).toEqual([1, 2, 3, 4, 5]);
  });

  test("keeps order through an overflow of many segments that fills and empties again and again", () => {
    const queue = new EventQueue<Tag>(3, 10_000);
    let next = 0;
    let expected = 0;
    for (let round = 0; round < 5; round++) {
      for (let index = 0; index < 5000; index++) queue.push(tag, next++, true);
      for (let index = 0; index < (round === 4 ? next - expected : 4000); index++) {
        const payload = queue.shift();
        if (payload !== expected) expect(payload).toBe(expected);
        expected++;
      }
    }
    expect(queue.length).toBe(next - expected);
  });

  test("lets go of a payload when it is handled, wherever it waited", async () => {
    const collected = new Set<string>();
    const registry = new FinalizationRegistry<string>((name) => collected.add(name));
    const calm = new EventQueue<Tag>(4, 0);
    const queue = new EventQueue<Tag>(1, 2);
    const push = (target: EventQueue<Tag>, name: string) => {
      const payload = { name };
      registry.register(payload, name);
      target.push(tag, payload, true);
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

  test("behaves as two bounded lists, whatever is pushed, shifted and cleared", () => {
    const operation = fc.oneof(
      { weight: 6, arbitrary: fc.record({ type: fc.constant("push" as const), maySpill: fc.boolean() }) },
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
      const counts = { ring: 0, overflow: 0, spilled: 0, rejected: 0 };
      let next = 0;
      const push = (maySpill: boolean) => {
        const kind = { name: `kind ${next}` };
        const result = queue.push(kind, next, maySpill);
        if (model.length < capacity) expect(result).toBe("queued");
        else if (maySpill && model.length < capacity + overflow) expect(result).toBe("spilled");
        else expect(result).toBe("rejected");
        if (result === "spilled") counts.spilled++;
        if (result === "rejected") counts.rejected++;
        else model.push({ kind, payload: next });
        next++;
        counts.ring = Math.max(counts.ring, Math.min(model.length, capacity));
        counts.overflow = Math.max(counts.overflow, model.length - capacity);
      };
      for (const operation of operations) {
        if (operation.type === "push") push(operation.maySpill);
        if (operation.type === "burst") for (let index = 0; index < operation.count; index++) push(true);
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
