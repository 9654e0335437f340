import fc from "fast-check";
import { type FieldType, f64, type Runtime, type SortedMap, struct, text, u32 } from "tidemark";
import { expect } from "vitest";

/** A map under test, with keys and values seen as whole numbers, whatever their types. */
export interface Subject {
  readonly map: SortedMap<FieldType<unknown>, FieldType<unknown>>;
  readonly keyOf: (number: number) => never;
  readonly numberOf: (key: never) => number;
}

/** A key of 64 bytes: so few fit a node that small maps have trees of four levels. */
export const WideKey = struct("WideKey", { number: u32, padding: text(60) });

type Order = "ascending" | "descending";

/** Ways to make a subject, by name, and the levels that its tree should reach in a long run. */
export const SUBJECTS: Record<string, { make: (runtime: Runtime, order: Order) => Subject; height: number }> = {
  "f64 to f64": {
    height: 3,
    make: (runtime, order) => ({
      map: runtime.sortedMap(f64, f64, { order }) as never,
      keyOf: (number) => (number / 4 - 100) as never,
      numberOf: (key: number) => (key + 100) * 4,
    }),
  },
  "a struct of 64 bytes to f64": {
    height: 4,
    make: (runtime, order) => ({
      map: runtime.sortedMap(WideKey, f64, { order }) as never,
      keyOf: (number) => ({ number, padding: `${number % 3}` }) as never,
      numberOf: (key: { number: number }) => key.number,
    }),
  },
};

/** A plain sorted map to hold a {@link Subject} against: numbers in ascending order, and a value for each. */
class Model {
  readonly numbers: number[] = [];
  readonly values = new Map<number, number>();

  /** The place of the first number at or above `number`. */
  place(number: number): number {
    let low = 0;
    let high = this.numbers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.numbers[middle]! < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  set(number: number, value: number): boolean {
    const isNew = !this.values.has(number);
    if (isNew) this.numbers.splice(this.place(number), 0, number);
    this.values.set(number, value);
    return isNew;
  }

  delete(number: number): boolean {
    if (!this.values.delete(number)) return false;
    this.numbers.splice(this.place(number), 1);
    return true;
  }

  clear(): void {
    this.numbers.length = 0;
    this.values.clear();
  }

  below(number: number): number | undefined {
    return this.numbers[this.place(number) - 1];
  }

  atOrBelow(number: number): number | undefined {
    return this.values.has(number) ? number : this.below(number);
  }

  atOrAbove(number: number): number | undefined {
    return this.numbers[this.place(number)];
  }

  above(number: number): number | undefined {
    return this.numbers[this.place(number) + (this.values.has(number) ? 1 : 0)];
  }
}

/** One step of a run. */
export interface Operation {
  readonly type: "set" | "delete" | "query" | "range" | "fill" | "drain" | "walk" | "clear";
  readonly at: number;
  /** How many keys a fill, drain or walk concerns. */
  readonly count: number;
  /** The distance between them; negative: they come in descending order. */
  readonly stride: number;
}

/** Lists of operations on `keys` different keys, that shrink. */
export function operations(length: number, keys: number, bulk: number): fc.Arbitrary<Operation[]> {
  const type = fc.constantFrom<Operation["type"]>(
    ...(["set", "set", "set", "set", "delete", "delete", "delete", "query", "query", "range"] as const),
    ...(["fill", "drain", "walk"] as const),
  );
  const rare = fc.oneof({ weight: 200, arbitrary: type }, { weight: 1, arbitrary: fc.constant("clear" as const) });
  return fc.array(
    fc.record({
      type: rare,
      at: fc.nat(keys - 1),
      count: fc.integer({ min: 1, max: bulk }),
      stride: fc.constantFrom(1, -1, 2, -2, 7),
    }),
    { minLength: Math.min(length, 1), maxLength: length, size: "max" },
  );
}

/** What a run came to: single changes and questions, and the most levels that the tree had. */
interface Run {
  readonly steps: number;
  readonly height: number;
}

/** Runs the operations on both and compares every answer. */
export function run(subject: Subject, list: readonly Operation[], descending: boolean, validateEach: boolean): Run {
  const { map, keyOf, numberOf } = subject;
  const model = new Model();
  let steps = 0;
  let height = 0;
  const shown = (entry: { key: unknown; value: unknown } | undefined) =>
    entry === undefined ? undefined : { number: numberOf(entry.key as never), value: entry.value };
  const expected = (number: number | undefined) =>
    number === undefined ? undefined : { number, value: model.values.get(number) };
  const set = (number: number, value: number) => {
    steps++;
    if (map.set(keyOf(number), value as never) !== model.set(number, value)) throw new Error(`set ${number} disagrees`);
  };
  const remove = (number: number) => {
    steps++;
    if (map.delete(keyOf(number)) !== model.delete(number)) throw new Error(`delete ${number} disagrees`);
  };
  for (const { type, at, count, stride } of list) {
    if (type === "set") set(at, steps);
    else if (type === "delete") remove(at);
    else if (type === "clear") {
      map.clear();
      model.clear();
    } else if (type === "fill") {
      for (let turn = 0; turn < count; turn++) set(Math.max(0, at + turn * stride), steps);
    } else if (type === "drain") {
      for (let turn = 0; turn < count; turn++) remove(Math.max(0, at + turn * stride));
    } else if (type === "query") {
      steps += 8;
      const key = keyOf(at);
      expect(map.get(key)).toBe(model.values.get(at));
      expect(map.has(key)).toBe(model.values.has(at));
      expect(shown(map.below(key))).toEqual(expected(model.below(at)));
      expect(shown(map.atOrBelow(key))).toEqual(expected(model.atOrBelow(at)));
      expect(shown(map.atOrAbove(key))).toEqual(expected(model.atOrAbove(at)));
      expect(shown(map.above(key))).toEqual(expected(model.above(at)));
      const least = expected(model.numbers[0]);
      const greatest = expected(model.numbers.at(-1));
      expect(shown(map.first())).toEqual(descending ? greatest : least);
      expect(shown(map.last())).toEqual(descending ? least : greatest);
    } else if (type === "range") {
      const end = at + count * stride;
      const numbers = Array.from(map.entries(keyOf(at), keyOf(Math.max(0, end))), (entry) =>
        numberOf(entry.key as never),
      );
      steps += numbers.length + 1;
      const within = descending
        ? model.numbers.filter((number) => number <= at && number > Math.max(0, end)).reverse()
        : model.numbers.filter((number) => number >= at && number < Math.max(0, end));
      expect(numbers).toEqual(within);
    } else {
      steps += walk(subject, model, at, count, stride, descending);
    }
    expect(map.size).toBe(model.numbers.length);
    height = Math.max(height, map.stats().height);
    if (validateEach) map.validate();
  }
  map.validate();
  const all = Array.from(map, (entry) => [numberOf(entry.key as never), entry.value]);
  const wanted = model.numbers.map((number) => [number, model.values.get(number)]);
  expect(all).toEqual(descending ? wanted.reverse() : wanted);
  return { steps, height };
}

/** Iterates while the map is being changed; each step must show what follows the last one in the map as it is then. */
function walk(
  { map, keyOf, numberOf }: Subject,
  model: Model,
  at: number,
  count: number,
  stride: number,
  down: boolean,
) {
  let steps = 0;
  let next = (down ? model.atOrBelow(at) : model.atOrAbove(at)) as number | undefined;
  for (const entry of map.entries(keyOf(at))) {
    const number = numberOf(entry.key as never);
    expect(number).toBe(next);
    expect(entry.value).toBe(model.values.get(number));
    if (steps++ === count) return steps;
    if (steps % 3 === 0) {
      map.delete(keyOf(number));
      model.delete(number);
    } else if (steps % 3 === 1) {
      const other = Math.max(0, number + stride * 3);
      map.set(keyOf(other), -steps as never);
      model.set(other, -steps);
    }
    next = down ? model.below(number) : model.above(number);
  }
  expect(next).toBeUndefined();
  return steps;
}
