import type { Cursor } from "../layout/cursor.js";
import { place } from "../layout/location.js";
import type { AnyStruct } from "../layout/struct.js";
import type { DestroySweep } from "../memory/destroySweep.js";
import type { HookOwner, LinearMemory } from "../memory/linearMemory.js";
import { type Address, ARENA_SERIAL } from "../memory/module.js";

/** Words of a header. */
const PREVIOUS = 0;
const OLDER = 1;
const NEWER = 2;
const STRUCT = 3;
const GUARD = 4;
const GENERATION = 5;

/** Floats of a header. */
const SEQUENCE = 3;
const SERIAL = 4;

/** The bytes that lie before a record that has a destroy hook. */
export const HOOK_HEADER = 40;

/**
 * The records of one memory that have a destroy hook. Each lies behind a header in its arena, so that noting one makes no
 * garbage, and the note goes when the record does.
 *
 *   header (40 B)
 *   ┌──────────┬───────┬───────┬────────┬───────┬────────────┬──────────┬────────┐┌────────┐
 *   │ previous │ older │ newer │ struct │ guard │ generation │ sequence │ serial ││ record │
 *   └──────────┴───────┴───────┴────────┴───────┴────────────┴──────────┴────────┘└────────┘
 *
 * `previous` chains the records of one arena, for its end; `older` and `newer` all of the memory, for the runtime's.
 * `sequence` numbers all records in the order of their making, `serial` is where that was among the marks and children
 * of the arena. An arena's records lie behind each other in that order, so a rewind ends a piece of the chain's front.
 */
export class HookedRecords implements HookOwner {
  readonly #memory: LinearMemory;
  /** The newest header of all. */
  #newest: Address = 0;
  #sequence = 0;
  /** The structs by the numbers that headers have of them, and the other way round. */
  readonly #structs: AnyStruct[] = [];
  readonly #numbers = new Map<AnyStruct, number>();
  /** By the structs' numbers, cursors for hooks to be called with; undefined while a hook has it. */
  readonly #cursors: (Cursor | undefined)[] = [];

  /** Use {@link hookedRecordsOf}. */
  constructor(memory: LinearMemory) {
    this.#memory = memory;
    memory.hookOwners.add(this);
  }

  /**
   * Notes the record behind `header`, which has just been allocated.
   *
   * @param arena the index of the arena's header in `memory.u32`
   * @param previous the arena's newest header so far, or 0
   */
  note(header: Address, type: AnyStruct, arena: number, previous: Address, guard: number, generation: number): void {
    const number = this.#numbers.get(type) ?? this.#number(type);
    const { u32, f64 } = this.#memory;
    const word = header >>> 2;
    const older = this.#newest;
    u32[word + PREVIOUS] = previous;
    u32[word + OLDER] = older;
    u32[word + NEWER] = 0;
    u32[word + STRUCT] = number;
    u32[word + GUARD] = guard;
    u32[word + GENERATION] = generation;
    f64[(header >>> 3) + SEQUENCE] = ++this.#sequence;
    f64[(header >>> 3) + SERIAL] = f64[(arena * 4 + ARENA_SERIAL) >>> 3]!;
    if (older !== 0) u32[(older >>> 2) + NEWER] = header;
    this.#newest = header;
  }

  #number(type: AnyStruct): number {
    const number = this.#structs.push(type) - 1;
    this.#numbers.set(type, number);
    return number;
  }

  /** The header before this one in its arena, or 0. */
  previousOf(header: Address): Address {
    return this.#memory.u32[(header >>> 2) + PREVIOUS]!;
  }

  /** The number of the record in the order of their making. */
  sequenceOf(header: Address): number {
    return this.#memory.f64[(header >>> 3) + SEQUENCE]!;
  }

  /** True if the record was made after the arena gave out `serial`; −1 is before everything. */
  isSince(header: Address, serial: number): boolean {
    return this.#memory.f64[(header >>> 3) + SERIAL]! >= serial;
  }

  /** Takes the note of one record away and runs its hook: so nothing can run it twice. */
  end(header: Address, sweep: DestroySweep): void {
    const memory = this.#memory;
    const { u32 } = memory;
    const word = header >>> 2;
    const older = u32[word + OLDER]!;
    const newer = u32[word + NEWER]!;
    if (older !== 0) u32[(older >>> 2) + NEWER] = newer;
    if (newer !== 0) u32[(newer >>> 2) + OLDER] = older;
    else this.#newest = older;

    const number = u32[word + STRUCT]!;
    const type = this.#structs[number]!;
    const cursor = this.#cursors[number] ?? (type.$newCursor(memory) as Cursor);
    this.#cursors[number] = undefined; // a hook may end other arenas, whose hooks then get another cursor
    place(cursor, header + HOOK_HEADER, u32[word + GUARD]!, u32[word + GENERATION]! | 0);
    sweep.run(type.$destroy as (record: Cursor) => void, cursor);
    memory.recover(); // the hook may have had the host grow memory
    if (Object.isExtensible(cursor)) this.#cursors[number] = cursor; // the hook has not frozen it
  }

  $beforeDispose(sweep: DestroySweep): void {
    while (this.#newest !== 0) this.end(this.#newest, sweep);
  }
}

const recordsOf = new WeakMap<LinearMemory, HookedRecords>();

/** The records of `memory` that have a hook. */
export function hookedRecordsOf(memory: LinearMemory): HookedRecords {
  const known = recordsOf.get(memory);
  if (known !== undefined) return known;
  const records = new HookedRecords(memory);
  recordsOf.set(memory, records);
  return records;
}
