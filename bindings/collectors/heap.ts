import { checkInteger } from "../arguments.js";
import { InvalidArgumentError } from "../errors.js";
import { type Bytes, encodeText, utf8Length } from "../layout/bytes.js";
import type { Cursor, Ref } from "../layout/cursor.js";
import { type ByteType, type FieldType, u8 } from "../layout/fieldType.js";
import { assertLive, type Location } from "../layout/location.js";
import type { ArrayObjectOf, CursorOf, Fields, StructType } from "../layout/struct.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import { SIZE_LIMIT } from "../memory/module.js";
import type { CollectionListener, HeapStats, Strategy } from "./figures.js";
import { ARRAY_HEADER } from "./heapArrays.js";
import type { HeapCursor } from "./heapCursor.js";
import type { DeclaredType, HeapTypes } from "./heapTypes.js";
import { assertScope, describeView, INSIDE, type Objects, type ObjectView, refuseInside } from "./objects.js";
import type { Scope } from "./scope.js";

/** Options of {@link Heap}s. */
export interface HeapOptions {
  /**
   * What the heap has objects of: structs, and `array(element)` without a length. All that references of these lead to has to be
   * among them. `array(u8)`, for bytes and texts, need not be named.
   */
  types: readonly DeclaredType[];
  /** The units of work of one step, where no other number is given: 1 to 2^31 − 1. Default 2,000. */
  stepUnits?: number | undefined;
  /**
   * The bytes that are allocated after a cycle before the next begins, at the least: 1 to 2^32 − 1. More where more is live,
   * namely a third of that, or as much under `"mark-sweep-stop"`. Default 1 MiB. Under `"refcount"`, where only what is not freed
   * by its count is left to cycles: the bytes by which all objects have grown meanwhile. Default 256 KiB. In idle time half of
   * that is enough. A cycle begins sooner where memory was refused, to the heap or to whatever else is in the runtime, if a handle
   * has ended or moved, or a reference been overwritten, since the last one began. `"manual"` takes no notice.
   */
  minimumBytes?: number | undefined;
}

/** The longest array: an index is a small integer in every engine up to here. */
const LENGTH_LIMIT = 0x3fff_ffff;

/** The most units that can be asked for at once. */
const UNIT_LIMIT = 0x7fff_ffff;

/**
 * Objects of declared types that refer to each other, under one of four strategies. The same program runs under each:
 *
 * | strategy | what is freed | when | a reference |
 * |---|---|---|---|
 * | `"manual"` | what {@link free} is given | at once | 12 bytes, checked |
 * | `"refcount"` | what nothing refers to; dead cycles | in steps | 4 bytes |
 * | `"mark-sweep"` | what no handle leads to | in steps, beside the program | 4 bytes |
 * | `"mark-sweep-stop"` | the same | all in one step | 4 bytes |
 *
 * Roots are handles. One is made in a scope whenever the program is given a cursor, by {@link new} or by reading a reference,
 * and ends with the scope; a kept one (`scope.keep`) lasts until it is released. What no handle leads to is garbage.
 * Nothing is looked for anywhere else. Where there is no memory for a handle, reading a reference too is an
 * {@link OutOfMemoryError} or {@link SealedError}.
 *
 * A collector works between events only, in steps: the loop makes them, or {@link step} and {@link collect}. Between two steps
 * nothing is freed. A reference that is read through a kept handle is shown without a handle of its own: its cursor is good until
 * the heap next works, and stale afterwards. Read it through a scope's cursor to have it last as long as the scope.
 *
 * Objects never move, and are zero when they are made. Where they are collected, one of more than 8 KiB takes whole pages of
 * 64 KiB, of which the rest is nobody's: an array of 8,200 bytes one page, one of 70,000 two.
 *
 * | operation | cost |
 * |---|---|
 * | `new`, `array` | O(bytes) |
 * | reading and storing a reference | O(1) |
 * | `step` | O(units) |
 * | `collect` | O(objects and their bytes) |
 *
 * @example
 * const Node = struct("Node", { value: f64, next: ref("Node") });
 * using heap = runtime.heap("mark-sweep", { types: [Node] });
 * using scope = runtime.scope();
 * const head = heap.new(Node, scope);
 * head.next = heap.new(Node, scope);
 * const root = scope.keep(head);
 */
export class Heap {
  readonly strategy: Strategy;
  /** What the heap was made with. */
  readonly types: readonly DeclaredType[];
  readonly #objects: Objects;
  readonly #types: HeapTypes;
  readonly #stepUnits: number;
  readonly #memory: LinearMemory;

  /** Use `runtime.heap()`. */
  constructor(
    strategy: Strategy,
    declared: readonly DeclaredType[],
    objects: Objects,
    types: HeapTypes,
    stepUnits: number,
  ) {
    this.strategy = strategy;
    this.types = Object.freeze(declared);
    this.#objects = objects;
    this.#types = types;
    this.#stepUnits = stepUnits;
    this.#memory = objects.memory;
    objects.memory.sites?.register(this, "heap", objects.bytesOf());
  }

  /**
   * Makes an object, zero, with a handle in `scope`: it lives at least as long as the scope does.
   *
   * @param type one of the heap's structs
   * @param into a cursor of this heap to point at it, so that no garbage is made; a fresh one by default. What it showed before
   *   stays rooted until its scope ends
   * @throws {InvalidArgumentError} if the heap was not made with `type`, `scope` is not a scope of its runtime, or `into` is a
   *   cursor of something else, a view of a part, or a kept handle
   * @throws {ScopeEndedError} if the scope has ended
   * @throws {OutOfMemoryError}, {SealedError}; nothing has changed
   * @throws {ReentrantCallError} in a destroy hook, while the heap ends
   * @throws {DisposedError} if the heap has been destroyed
   */
  new<F extends Fields>(type: StructType<F>, scope: Scope, into?: CursorOf<F>): CursorOf<F> {
    return this.#objects.allocate(type, scope, into as unknown as HeapCursor) as unknown as CursorOf<F>;
  }

  /**
   * Makes an array object of `length` elements, zero, with a handle in `scope`. Its length stays as it is.
   *
   * @param element the elements' type: `array(element)` is one of the heap's types
   * @param length 0 to 2^30 − 1, at most about 4 GiB in all; above 8 KiB in all it takes whole pages, but under `"manual"`
   * @param into an array of this heap and of such elements to point at it; a fresh one by default
   * @throws {InvalidArgumentError} for a length out of range, and as {@link new}; {OutOfMemoryError} and others as {@link new}
   *
   * @example
   * node.samples = heap.array(f64, 1000, scope); // samples: ref(array(f64))
   */
  array<Element extends FieldType<unknown>>(
    element: Element,
    length: number,
    scope: Scope,
    into?: ArrayObjectOf<Element>,
  ): ArrayObjectOf<Element> {
    const objects = this.#objects;
    if (objects.destroyed) objects.assertOpen("array");
    const own = this.#types.array(element, "array");
    const limit = Math.min(LENGTH_LIMIT, Math.floor((SIZE_LIMIT - ARRAY_HEADER) / own.element.size));
    checkInteger("the length of an array", length, 0, limit);
    assertScope(scope, "array");
    return objects.allocateArray(
      own,
      length,
      scope,
      into as unknown as ObjectView,
    ) as unknown as ArrayObjectOf<Element>;
  }

  /** Makes an object of `size` bytes, zero, 0 or more. Otherwise as {@link array}. */
  bytes(size: number, scope: Scope, into?: Bytes): Bytes {
    return this.array<ByteType>(u8, size, scope, into);
  }

  /**
   * Makes an object of the UTF-8 bytes of `text`. O(length)
   *
   * @throws {InvalidArgumentError} if it has a lone surrogate; otherwise as {@link array}
   *
   * @example
   * node.label = heap.text("tide", scope); // label: ref(array(u8))
   */
  text(text: string, scope: Scope, into?: Bytes): Bytes {
    const bytes = this.bytes(utf8Length(text), scope, into);
    encodeText(text, bytes.view());
    return bytes;
  }

  /**
   * Makes a cursor for objects of `type` that shows nothing yet: for `into`, `moveTo` and `follow`.
   *
   * @throws {InvalidArgumentError} if `type` is none of the heap's structs
   */
  cursor<F extends Fields>(type: StructType<F>): CursorOf<F> {
    this.#objects.assertOpen("cursor");
    return this.#types.struct(type, "cursor").$newObjectView() as unknown as CursorOf<F>;
  }

  /**
   * Frees an object, running its destroy hook first. Under the other strategies than `"manual"` it is a hint that does nothing,
   * but that its argument is checked.
   *
   * @param object a cursor, ref, array or bytes: all that leads to it is stale from now on
   * @throws {StaleReferenceError} if it has been freed already
   * @throws {InvalidArgumentError} if it is no object of this heap, or a part of one
   * @throws {ReentrantCallError}, {DestroyHookError} as `Pool.free`
   *
   * @example
   * using manual = runtime.heap("manual", { types: [Node] });
   * manual.free(manual.new(Node, scope));
   */
  free(object: Location | Cursor<Fields> | Ref<Fields>): void {
    this.#objects.assertOpen("free");
    const view = object as ObjectView | null | undefined;
    if (view?.$heap !== this.#objects) {
      throw new InvalidArgumentError(`free takes an object of this heap, not ${describeView(object)}`);
    }
    if (view.$root === INSIDE) refuseInside("free");
    assertLive(view);
    this.#objects.free(view);
  }

  /**
   * Ends a kept handle: what no other handle leads to is garbage from now on, and the cursor is stale. To release it once more
   * does nothing, nor to release one that has ended with its heap.
   *
   * @throws {InvalidArgumentError} if it is no kept handle of this heap
   *
   * @example
   * const root = scope.keep(node); // or `using root`, which releases it where its block ends
   * heap.release(root);
   */
  release(handle: object): void {
    this.#objects.release(handle);
  }

  /**
   * Works for at most `units`, and 257 more (2 under `"refcount"`): traces, counts, sweeps; a destroy hook that is run counts as
   * two. Begins a cycle where enough has been allocated for one, or memory was refused. A loop does this by itself. Under
   * `"mark-sweep-stop"` whatever there is to do is done at once; under `"manual"` there is nothing.
   *
   * @param units 1 to 2^31 − 1; by default those that the heap was made with
   * @returns the units done: fewer than `units` when there is nothing left to do
   * @throws {InvalidArgumentError} for another number
   * @throws {ReentrantCallError} in a handler before its first `await`, in a fiber or a timer of a loop, in a destroy hook, or in
   *   a listener of the heap; nothing has changed. Behind an `await` it is like a step between any two events: scopes are roots,
   *   those of handlers that wait included, and what is shown without a handle is stale afterwards
   * @throws {DestroyHookError} if a hook has thrown: the work is done
   * @throws what a listener of {@link onCollection} has thrown: the work is done
   * @throws {AggregateError} of both, if a hook and a listener have thrown
   *
   * @example
   * setInterval(() => heap.step(500), 10); // in a program without a loop
   */
  step(units: number = this.#stepUnits): number {
    this.#objects.assertOpen("step");
    checkInteger("the units of a step", units, 1, UNIT_LIMIT);
    this.#objects.assertIdle("step");
    return this.#objects.work(units);
  }

  /**
   * Collects everything that no handle leads to, in one go: ends the cycle that is under way, and does a whole one. Nothing that
   * was unreachable when it was called is left, under `"refcount"` either: what is dropped is drained, and all that may be part of
   * a dropped cycle is looked at, however much that reaches, and again what that may have dropped. Only an object that has had
   * 2^23 − 1 references and handles at once, where its count stops, lives as long as the heap, with all that it leads to. O(objects)
   *
   * @returns the units done
   * @throws as {@link step}
   * @throws {OutOfMemoryError} or {SealedError}, under `"refcount"`, if there was no memory for looking at all of them, which takes
   *   16 bytes each: what could be freed without has been
   */
  collect(): number {
    this.#objects.assertIdle("collect");
    return this.#objects.collectAll();
  }

  /** The figures of now. O(types) */
  stats(): HeapStats {
    this.#objects.assertOpen("stats");
    return { strategy: this.strategy, ...this.#objects.stats() };
  }

  /**
   * Has `listener` told of each cycle of collection, when the step in which it has ended is done. Under `"refcount"` that is a run
   * over the objects that may be part of a dropped cycle: what is freed one by one is only counted. It must not ask the heap to
   * collect. What it throws keeps no other listener from being told, and nothing from being collected: the step throws it when
   * all is done, which in a loop goes where the errors of handlers go.
   *
   * @returns a function that takes the listener off again
   * @throws {InvalidArgumentError} if it is no function
   *
   * @example
   * const forget = heap.onCollection(({ cycle, freedObjects }) => console.log(cycle, freedObjects));
   */
  onCollection(listener: CollectionListener): () => void {
    this.#objects.assertOpen("onCollection");
    if (typeof listener !== "function") throw new InvalidArgumentError("onCollection takes a function");
    return this.#objects.onCollection(listener);
  }

  /**
   * Checks every invariant. O(objects)
   *
   * @throws {CorruptionError} naming the first that is broken
   * @throws {OutOfMemoryError}, {SealedError} if there is none for what it notes down
   */
  validate(): void {
    this.#objects.assertOpen("validate");
    this.#objects.validate();
  }

  /**
   * Runs the destroy hooks of all objects and gives all memory back. The hooks run type by type in the order of declaration, of
   * a type in the order in which the heap has taken its pages, and on a page in that of addresses; under `"manual"` in that of
   * addresses alone. All objects that live are there until the last hook has run; what is dead already, and waits for its hook,
   * ends before. In the meantime nothing can be made, and {@link free} does nothing. Handles and
   * cursors are stale afterwards, also those of scopes that go on, and calls are a {@link DisposedError}, but for {@link
   * release}. A second call does nothing.
   *
   * @throws {ReentrantCallError} in a destroy hook or listener of this heap; nothing has changed
   * @throws {DestroyHookError} if a hook has thrown; the memory has been given back
   */
  destroy(): void {
    const objects = this.#objects;
    if (objects.destroyed) return;
    objects.assertDestroyable();
    this.#memory.recover(); // the host may have grown memory
    this.#memory.sites?.unregister(this);
    objects.destroy();
  }

  /** As {@link destroy}. */
  [Symbol.dispose](): void {
    this.destroy();
  }

  /** True once the heap has been destroyed, alone or with the runtime. */
  get destroyed(): boolean {
    return this.#objects.destroyed;
  }
}
