import fc from "fast-check";
import { createRuntime, type Runtime } from "tidemark";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { modules } from "../support/runtimes.js";
import { scale, scaled } from "../support/scale.js";

const DAY = 86_400_000;

/** What a list of operations is made of. Delays and jumps are given as a magnitude and a fraction of it. */
type Operation =
  | {
      readonly kind: "arm";
      readonly bits: number;
      readonly fraction: number;
      readonly unit: number;
      readonly count: number;
    }
  | { readonly kind: "cancel"; readonly place: number; readonly count: number }
  | { readonly kind: "move"; readonly place: number; readonly bits: number; readonly fraction: number }
  | { readonly kind: "advance"; readonly by: number; readonly work: number; readonly takes: number }
  | { readonly kind: "approach"; readonly before: number; readonly work: number };

const fraction = fc.double({ min: 0, max: 1, noNaN: true });
const bits = fc.oneof(fc.integer({ min: 0, max: 14 }), fc.integer({ min: 0, max: 46 }));
const jump = fc.oneof(
  fc.nat(3),
  fc.constantFrom(63, 64, 65, 4095, 4096, 4097, 262_144),
  fc.nat(200),
  fc.nat(10_000),
  fc.nat(40 * DAY),
  fc.nat(2 ** 40),
);
// Little work, so that advances stop in the midst of a cascade, and things are armed in between.
const work = fc.oneof(fc.nat(20), fc.constant(100_000));

function operations(length: number, bulk: number): fc.Arbitrary<Operation[]> {
  const count = fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 1, max: 4 }) }, fc.integer({ min: 1, max: bulk }));
  const operation: fc.Arbitrary<Operation> = fc.oneof(
    fc.record({ kind: fc.constant("arm" as const), bits, fraction, unit: fc.constant(1), count }),
    // Due where lists of higher levels begin: there timers sink through several levels at once.
    fc.record({ kind: fc.constant("arm" as const), bits, fraction, unit: fc.constantFrom(64, 4096, 262_144), count }),
    fc.record({ kind: fc.constant("approach" as const), before: fc.nat(70), work }),
    fc.record({ kind: fc.constant("cancel" as const), place: fraction, count }),
    fc.record({ kind: fc.constant("move" as const), place: fraction, bits, fraction }),
    fc.record({ kind: fc.constant("advance" as const), by: jump, work, takes: fc.nat(bulk) }),
  );
  return fc.array(operation, { minLength: 1, maxLength: length });
}

interface Armed {
  due: number;
  /** The order of arming. */
  sequence: number;
  readonly slot: number;
  readonly generation: number;
}

/** A wheel beside a plain list of the timers that are armed. */
class WheelAndList {
  readonly #runtime: Runtime;
  readonly #wheel: number;
  readonly #armed: Armed[] = [];
  readonly #bySlot = new Map<number, Armed>();
  #now = 0;
  #sequence = 0;
  steps = 0;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
    this.#wheel = runtime.$memory.exports.createWheel() >>> 0;
    expect(this.#wheel).toBeGreaterThan(0);
  }

  #word(name: "ARMED" | "GENERATION"): number {
    const memory = this.#runtime.$memory;
    return memory.u32[(this.#wheel + memory.exports[`WHEEL_${name}`]!.value) >>> 2]!;
  }

  get #current(): number {
    const memory = this.#runtime.$memory;
    return Number(memory.u64[(this.#wheel + memory.exports.WHEEL_CURRENT!.value) >>> 3]!);
  }

  get #wake(): number {
    const memory = this.#runtime.$memory;
    memory.exports.nextWake(this.#wheel);
    return memory.f64[(this.#wheel + memory.exports.WHEEL_WAKE!.value) >>> 3]!;
  }

  #delay(bits: number, part: number): number {
    return Math.floor(2 ** bits * part);
  }

  play(operation: Operation): void {
    switch (operation.kind) {
      case "arm":
        for (let nth = 0; nth < operation.count; nth++) {
          // Half of a bulk is due at one tick, the other half spread behind it.
          const due = this.#now + this.#delay(operation.bits, operation.fraction);
          this.#arm(Math.ceil(due / operation.unit) * operation.unit + (nth & 1 ? 0 : nth * 7));
        }
        return;
      case "cancel":
        for (let nth = 0; nth < operation.count && this.#armed.length > 0; nth++) this.#cancel(operation.place);
        return;
      case "move":
        if (this.#armed.length > 0) this.#move(operation.place, this.#delay(operation.bits, operation.fraction));
        return;
      case "advance":
        this.#advance(operation.by, operation.work, operation.takes);
        return;
      case "approach":
        this.#advance(
          this.#armed.length === 0 ? 1 : Math.max(this.#earliest() - operation.before - this.#now, 0),
          operation.work,
          0,
        );
    }
  }

  #arm(due: number): void {
    this.steps++;
    const slot = this.#runtime.$memory.exports.armTimer(this.#wheel, due) - 1;
    const armed = {
      due: Math.max(due, this.#current),
      sequence: this.#sequence++,
      slot,
      generation: this.#word("GENERATION"),
    };
    expect(this.#bySlot.has(slot)).toBe(false);
    this.#armed.push(armed);
    this.#bySlot.set(slot, armed);
  }

  #pick(place: number): number {
    return Math.min(Math.floor(place * this.#armed.length), this.#armed.length - 1);
  }

  #cancel(place: number): void {
    this.steps++;
    const index = this.#pick(place);
    const { slot, generation } = this.#armed[index]!;
    const { cancelTimer } = this.#runtime.$memory.exports;
    if (cancelTimer(this.#wheel, slot, generation + 1) !== 0) expect.fail("a generation to come was taken");
    if (cancelTimer(this.#wheel, slot, generation) !== 1) expect.fail("an armed timer was not cancelled");
    if (cancelTimer(this.#wheel, slot, generation) !== 0) expect.fail("a timer was cancelled twice");
    this.#forget(index);
  }

  #forget(index: number): void {
    const armed = this.#armed[index]!;
    this.#armed[index] = this.#armed.at(-1)!;
    this.#armed.pop();
    this.#bySlot.delete(armed.slot);
  }

  #move(place: number, delay: number): void {
    this.steps++;
    const armed = this.#armed[this.#pick(place)]!;
    const due = this.#now + delay;
    expect(this.#runtime.$memory.exports.moveTimer(this.#wheel, armed.slot, armed.generation, due)).toBe(1);
    armed.due = Math.max(due, this.#current);
    armed.sequence = this.#sequence++;
  }

  #advance(by: number, work: number, takes: number): void {
    this.steps++;
    this.#now += by;
    const { exports } = this.#runtime.$memory;
    const isOver = exports.advanceWheel(this.#wheel, this.#now, work) === 0;
    if (isOver) expect(this.#current).toBe(this.#now);
    const due = this.#armed
      .filter((armed) => armed.due <= this.#now)
      .sort((one, other) => one.due - other.due || one.sequence - other.sequence);
    let taken = 0;
    for (; taken < takes; taken++) {
      const slot = exports.takeTimer(this.#wheel) - 1;
      if (slot < 0) break;
      const expected = due[taken];
      if (slot !== expected?.slot) expect([taken, this.#bySlot.get(slot)]).toEqual([taken, expected]);
      if (exports.cancelTimer(this.#wheel, slot, expected!.generation) !== 0)
        expect.fail("one that fired was cancelled");
      this.steps++;
    }
    if (isOver && taken < takes) expect(taken).toBe(due.length);
    const gone = new Set(due.slice(0, taken));
    for (let index = this.#armed.length - 1; index >= 0; index--) {
      if (gone.has(this.#armed[index]!)) this.#forget(index);
    }
  }

  check(): void {
    const { validateWheel } = this.#runtime.$memory.exports;
    expect(validateWheel(this.#wheel)).toBe(0);
    expect(this.#word("ARMED")).toBe(this.#armed.length);
    const earliest = this.#earliest();
    const wake = this.#wake;
    expect(wake).toBeLessThanOrEqual(earliest);
    expect(wake).toBeGreaterThanOrEqual(this.#current);
    if (this.#armed.length <= 16) expect(wake).toBe(earliest);
  }

  #earliest(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const { due } of this.#armed) earliest = Math.min(earliest, due);
    return Math.max(earliest, this.#current);
  }

  /** Goes on until nothing is armed, however far away. */
  finish(): void {
    for (let rounds = 0; this.#armed.length > 0; rounds++) {
      if (rounds > 100_000) expect.fail(`${this.#armed.length} timers never fired`);
      this.#advance(Math.max(this.#wake - this.#now, 0), 1_000_000, Number.POSITIVE_INFINITY);
    }
  }

  destroy(): void {
    this.#runtime.$memory.exports.destroyWheel(this.#wheel);
  }
}

describe.each(modules)("a timing wheel of the $name module", ({ debug }) => {
  let runtime: Runtime;
  let steps = 0;
  beforeAll(async () => {
    runtime = await createRuntime({ debug });
  });
  afterAll(() => runtime.dispose());

  const check = (runs: number, length: number, bulk: number, checkEach: boolean) => {
    fc.assert(
      fc.property(operations(length, bulk), (list) => {
        const subject = new WheelAndList(runtime);
        try {
          for (const operation of list) {
            subject.play(operation);
            if (checkEach) subject.check();
          }
          subject.check();
          subject.finish();
          subject.check();
        } finally {
          steps += subject.steps;
          subject.destroy();
        }
      }),
      { numRuns: scaled(runs) },
    );
    runtime.validate();
    expect(runtime.stats().bytesByOwner.timers).toBe(0);
  };

  test("fires what a sorted list would, in its order, and is sound after every change", () => {
    check(1500, 60, 40, true);
  });

  test("fires what a sorted list would, in its order, with long lists that sink in pieces", () => {
    check(debug ? 200 : 600, 80, 4000, false);
    // Lists are as long as chance will have them: it goes on until there have been as many operations as are wanted.
    while (steps < (debug ? 250_000 : 1_000_000) * Math.min(scale, 1)) check(50, 80, 4000, false);
  });
});
