import { StaleReferenceError } from "../errors.js";
import { type Codec, Image, imageOf } from "../layout/codec.js";
import { type ArrayType, array } from "../layout/fields.js";
import type { FieldType } from "../layout/fieldType.js";
import { assertLive, Location } from "../layout/location.js";
import type { AnyFields, Fields, StructType } from "../layout/struct.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import { collectedCursor } from "./collectedCursor.js";
import type { CollectedObjects } from "./collectedObjects.js";
import type { HeapCursor } from "./heapCursor.js";
import { HeapStruct } from "./heapStruct.js";

// Values of many fields, where some are references: structs and inline arrays that are set as a whole. Bytes cannot simply
// be copied there, since each reference has to be stored as the strategy wants it.

/** Where references lie in a value, as offsets in bytes. */
interface Slots {
  readonly strong: readonly number[];
  readonly weak: readonly number[];
  /** Beginnings and ends of what lies between them, in turn. */
  readonly gaps: readonly number[];
}

/** A value that has been checked, and when: the addresses in it are good until the heap next works. */
class Checked {
  constructor(
    readonly epoch: number,
    readonly value: unknown,
  ) {}
}

function slotsOf(codec: Codec, size: number): Slots {
  const strong: number[] = [];
  const weak: number[] = [];
  codec.slots(0, (offset, _target, isWeak) => (isWeak ? weak : strong).push(offset));
  const gaps: number[] = [];
  let start = 0;
  for (const offset of [...strong, ...weak].sort((one, other) => one - other)) {
    if (offset > start) gaps.push(start, offset);
    start = offset + 4;
  }
  if (start < size) gaps.push(start, size);
  return { strong, weak, gaps };
}

/** Writes and checks values of one type that has references in it. */
class CheckedValues {
  readonly #heap: CollectedObjects;
  readonly #slots: Slots;
  readonly #size: number;

  constructor(heap: CollectedObjects, codec: Codec, size: number) {
    this.#heap = heap;
    this.#size = size;
    this.#slots = slotsOf(codec, size);
  }

  /** True if there are references at all. */
  get hasSlots(): boolean {
    return this.#slots.strong.length + this.#slots.weak.length > 0;
  }

  /** What `check` finds, with the time at which it began. */
  check(check: () => unknown): Checked {
    const { epoch, memory } = this.#heap;
    const value = check();
    // A record's bytes are taken now, since what follows may move the cursor.
    return new Checked(epoch, value instanceof Location ? imageOf(memory, value.$address, this.#size) : value);
  }

  /**
   * Writes what {@link check} has returned; `write` is for values that are no bytes. If a store is refused in the midst,
   * what was there is put back.
   */
  write(address: Address, { epoch, value }: Checked, write: (value: object) => void): void {
    const heap = this.#heap;
    if (heap.epoch !== epoch) {
      throw new StaleReferenceError(
        "the heap has collected while the values were being read, so their references are stale",
      );
    }
    // Only in a destroy hook a store can be refused.
    const before = heap.memory.hooksRunning > 0 ? imageOf(heap.memory, address, this.#size) : undefined;
    try {
      if (value instanceof Image) this.writeImage(address, value);
      else write(value as object);
    } catch (error) {
      if (before !== undefined) this.writeImage(address, before);
      throw error;
    }
  }

  private writeImage(address: Address, { bytes }: Image): void {
    const heap = this.#heap;
    const { strong, weak, gaps } = this.#slots;
    const words = new DataView(bytes.buffer, bytes.byteOffset);
    for (const offset of strong) heap.store(address + offset, words.getUint32(offset, true));
    for (const offset of weak) heap.copyWeak(address + offset, words.getUint32(offset, true));
    for (let gap = 0; gap < gaps.length; gap += 2) {
      heap.memory.u8.set(bytes.subarray(gaps[gap], gaps[gap + 1]), address + gaps[gap]!);
    }
  }
}

/** A struct as a collected heap has it. */
export class CollectedStruct<F extends Fields = AnyFields> extends HeapStruct<F> {
  readonly #heap: CollectedObjects;
  readonly #values: CheckedValues;

  constructor(heap: CollectedObjects, declared: StructType<F>, fields: Record<string, FieldType<unknown>>) {
    super(heap, declared, fields);
    this.#heap = heap;
    this.#values = new CheckedValues(heap, this.$codec, this.size);
  }

  protected override get $cursorBase(): typeof HeapCursor {
    return collectedCursor(this as unknown as HeapStruct, this.#heap);
  }

  override $check(memory: LinearMemory, values: unknown, path: string): object {
    if (!this.#values.hasSlots) return super.$check(memory, values, path);
    return this.#values.check(() => super.$check(memory, values, path));
  }

  override $write(memory: LinearMemory, address: Address, values: object): void {
    if (values instanceof Checked) this.#values.write(address, values, (value) => super.$write(memory, address, value));
    else super.$write(memory, address, values);
  }
}

/** Elements inside an object, as a collected heap has them. */
export function collectedArray(
  heap: CollectedObjects,
  element: FieldType<unknown>,
  length: number,
): ArrayType<FieldType<unknown>> {
  const plain = array(element, length);
  const base = plain.$codec;
  const values = new CheckedValues(heap, base, plain.size);
  if (!values.hasSlots) return plain;
  const $codec: Codec = {
    ...base,
    accessor(memory, offset, part) {
      const { get } = base.accessor(memory, offset, part);
      return {
        get,
        set(value) {
          assertLive(this);
          const checked = $codec.check(memory, value, "a field");
          assertLive(this); // a getter in the value may have ended the record
          $codec.write(memory, this.$address + offset, checked as never);
        },
      };
    },
    check: (memory, value, path, member) => values.check(() => base.check(memory, value, path, member)),
    write(memory, address, checked: Checked) {
      values.write(address, checked, (value) => base.write(memory, address, value as never));
    },
  };
  return { ...plain, $codec };
}
