import { describe } from "../arguments.js";
import { InvalidArgumentError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import { assertLive, assertSameMemory, isLive, Location, place, unset } from "./location.js";
import type {
  AnyFields,
  CursorOf,
  Fields,
  ObjectOf,
  RefName,
  RefView,
  SelfRefName,
  StructType,
  ValuesOf,
} from "./struct.js";

/** What makes a cursor one on a copy: no ref to it can be had, and nobody but its owner moves it. */
const FLEETING = { $fleeting: { value: true }, $moves: { value: undefined } };

/** Where a struct graph can be copied to: an arena or a region. */
export interface CopyTarget {
  /** Copies the record at `source` with all that it leads to, and points `into` at the copy. */
  $copyIn(source: Cursor, into: Cursor): void;
}

/** The size of a ref in memory, in bytes: address, guard, generation. */
export const REF_SIZE = 12;

/**
 * A movable view of one record: its fields are properties, and each access is checked.
 *
 * Cursors are made by `runtime.cursor(T)` and reused: moving one makes no garbage. A field name that would hide one of
 * the methods below, or that begins with `$`, is refused when the struct is declared.
 *
 * On an object of a heap, {@link moveTo}, {@link follow}, {@link ref} and {@link toObject} may have to make a handle, for which
 * memory may be out: see {@link Heap}.
 *
 * @example
 * const level = runtime.cursor(Level);
 * region.new(Level, level);
 * level.price = 100.5;
 */
export abstract class Cursor<F extends Fields = AnyFields> extends Location {
  /** The struct whose fields this cursor shows; on the prototype. */
  declare readonly $struct: StructType<F>;
  /**
   * The same struct, for what moves the cursor to ask for: refs do not have it, nor cursors on copies, which are moved by
   * their owner alone.
   */
  declare readonly $moves: StructType<F> | undefined;
  /** Views of nested structs and inline arrays, by the number of the field. */
  $parts: Location[] | undefined = undefined;

  /** The view of field number `part`, made when first asked for; each time anew where a program has frozen the cursor before. */
  $part<View extends Location>(part: number, make: (memory: LinearMemory) => View): View {
    const parts = this.$parts;
    if (parts !== undefined && parts[part] !== undefined) return parts[part] as View;
    return this.$makePart(part, make);
  }

  $makePart<View extends Location>(part: number, make: (memory: LinearMemory) => View): View {
    const made = make(this.$memory);
    if (this.$fleeting) made.$becomeFleeting();
    if (this.$parts === undefined && !Object.isExtensible(this)) return made;
    this.$parts ??= [];
    this.$parts[part] = made;
    return made;
  }

  /** True for a cursor on a copy that is overwritten when the next one is shown: nothing else may refer to that. */
  get $fleeting(): boolean {
    return false;
  }

  override $becomeFleeting(): void {
    Object.defineProperties(this, FLEETING);
  }

  /** True while the cursor points at a record that lives. */
  isLive(): boolean {
    return isLive(this);
  }

  /**
   * Moves the cursor to the record of `target`, or to nothing for `null`. O(1), no garbage.
   *
   * @throws {InvalidArgumentError} if `target` is of another struct or runtime, or the key that an entry of a collection
   *   shows; the cursor stays where it was
   * @throws {StaleReferenceError} if its record has ended
   */
  moveTo(target: Cursor<F> | Ref<F> | null): this {
    if (this.$fleeting) assertLasting(this, "moveTo");
    if (target === null) {
      unset(this);
      return this;
    }
    this.$struct.$assertRecord(this.$memory, target, "moveTo");
    assertLasting(target, "moveTo");
    place(this, target.$address, target.$guard, target.$generation);
    return this;
  }

  /**
   * Moves `into` to the record that the ref field `name` refers to. O(1), no garbage, where reading the field would make
   * a cursor.
   *
   * @param into by default this cursor itself, for walking lists: only where the field refers to its own struct
   * @returns false, and `into` unmoved, if the field refers to nothing, as a weak one does once its record has ended
   * @throws {InvalidArgumentError} if there is no such ref field, or it refers to another struct than `into` shows
   * @throws {StaleReferenceError} if the record that a strong one refers to has ended
   *
   * @example
   * for (walker.moveTo(head); ; ) { sum += walker.value; if (!walker.follow("next")) break; }
   */
  follow<Name extends SelfRefName<F>>(name: Name): boolean;
  follow<Name extends RefName<F>>(name: Name, into: RefView<F, Name>): boolean;
  follow(name: string, into: object = this): boolean {
    const target = this.$struct.$refTarget(name);
    const cursor = into as unknown as Cursor;
    if (cursor?.$moves !== target) {
      throw new InvalidArgumentError(`follow: ${name} refers to a ${target.name}, not to ${describeRecord(into)}`);
    }
    assertSameMemory(this.$memory, cursor, "follow");
    assertLive(this); // now, as the function that gives the struct may have ended the record
    const word = (this.$address + (this.$struct.offsets[name] as number)) >>> 2;
    const { u32, i32 } = this.$memory;
    const address = u32[word]!;
    if (address === 0) return false;
    const guard = u32[word + 1]! >>> 2;
    const generation = i32[word + 2]!;
    if (i32[guard] !== generation) {
      if (this.$struct.$isWeak(name)) return false;
      assertLive(new Ref(target, this.$memory, address, guard, generation));
    }
    place(cursor, address, guard, generation);
    return true;
  }

  /**
   * An unmovable reference to the record that the cursor is on.
   *
   * @throws {InvalidArgumentError} for the key that an entry of a collection shows, or a part of an object of a heap
   * @throws {StaleReferenceError} if the record has ended
   */
  ref(): Ref<F> {
    assertLive(this);
    assertLasting(this, "ref");
    return new Ref(this.$struct, this.$memory, this.$address, this.$guard, this.$generation);
  }

  /** The record's fields as a plain object; refs as {@link Ref} or `null`. O(size). @throws {StaleReferenceError} */
  toObject(): ObjectOf<F> {
    assertLive(this);
    const values = this.$struct.$read(this.$memory, this.$address, this);
    assertLive(this); // a function given to ref() may have ended the record
    return values;
  }

  /** As {@link toObject}, for `JSON.stringify`, in which a ref is a text with its address. */
  toJSON(): ObjectOf<F> {
    return this.toObject();
  }

  get $title(): string {
    return this.$struct.name;
  }

  /**
   * Sets the fields that `values` names, all or none. O(fields).
   *
   * @param values an object whose own properties are fields of the struct, nested ones whole or in part; or a cursor or
   * ref of the struct, to copy its record
   * @throws {InvalidArgumentError} for a name that is no field, a value that does not fit, or an object that inherits a field, such as
   *   an accessor of its class, or has none: fields are taken of own enumerable properties only; nothing is changed
   * @throws {StaleReferenceError} if the record, or one that `values` refers to, has ended; nothing is changed
   *
   * @example
   * level.assign({ price: 100.5 }); // the other fields stay
   */
  assign(values: ValuesOf<F> | Cursor<F> | Ref<F>): this {
    assertLive(this);
    const checked = this.$struct.$check(this.$memory, values, this.$struct.name);
    assertLive(this); // a getter among the values may have ended the record
    this.$struct.$write(this.$memory, this.$address, checked);
    return this;
  }

  /**
   * Copies the record, and every record that its refs lead to, into `target`; sharing and cycles are kept, and refs
   * that lead into `target` already stay as they are. A ref to a part of a record (a nested struct) leads to a copy of that part
   * alone. O(bytes and refs, and for each ref the blocks of `target`).
   *
   * @param into a cursor of this struct to point at the copy; a fresh one by default
   * @throws {OutOfMemoryError}, {SealedError}, {LimitExceededError}, {StaleReferenceError} with both sides as before
   * @throws {InvalidArgumentError} for an object of a heap, for another `into` or target, or if one of the records has a destroy
   *   hook; likewise
   *
   * @example
   * const kept = node.copyTo(archive); // an arena; the records that its refs lead to are there too
   */
  copyTo(target: CopyTarget, into: CursorOf<F> = this.$struct.$newCursor(this.$memory)): CursorOf<F> {
    assertLive(this);
    if (into?.$moves !== this.$struct) {
      throw new InvalidArgumentError(`copyTo moves a cursor of ${this.$struct.name}, not ${describeRecord(into)}`);
    }
    if (typeof target?.$copyIn !== "function") {
      throw new InvalidArgumentError(`copyTo takes an arena or region, but was given ${describe(target)}`);
    }
    target.$copyIn(this, into);
    return into;
  }
}

/** How a message calls what was given for a cursor or ref. */
export function describeRecord(given: unknown): string {
  if (given instanceof Ref) return `a ref of ${given.$struct.name}`;
  if (given instanceof Cursor) return `${given.$fleeting ? "one on a copy" : "one"} of ${given.$struct.name}`;
  return given instanceof Location ? "an array or bytes" : describe(given);
}

/** Throws if `target` is on a copy that will be overwritten, so that a reference to it would soon be to something else. */
export function assertLasting(target: Cursor | Ref, operation: string): void {
  if (!(target instanceof Cursor) || !target.$fleeting) return;
  throw new InvalidArgumentError(
    `${operation}: the key that an entry shows is a copy, overwritten by the next; take its values with toObject()`,
  );
}

/** A checked value as it is now, until it is written: a cursor may be moved by a getter among the values still to be read. */
export function held(checked: unknown): unknown {
  return checked instanceof Cursor ? checked.ref() : checked;
}

/**
 * A reference to one record that stays where it is, and knows when the record has ended.
 *
 * @example
 * const best = level.ref();
 * level.moveTo(best);
 */
export class Ref<F extends Fields = AnyFields> extends Location {
  constructor(
    /** The struct of the record. */
    readonly $struct: StructType<F>,
    memory: LinearMemory,
    address: Address,
    guard: number,
    generation: number,
  ) {
    super(memory);
    place(this, address, guard, generation);
  }

  /** True while the record lives. */
  isLive(): boolean {
    return isLive(this);
  }

  /** The struct's name and the record's address, for `JSON.stringify`: records may lead to one another in circles. */
  toJSON(): string {
    return `${this.$struct.name} at ${this.$address}`;
  }

  get $title(): string {
    return "Ref";
  }
}
