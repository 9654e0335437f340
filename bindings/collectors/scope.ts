import { describe } from "../arguments.js";
import { InvalidArgumentError, ScopeEndedError } from "../errors.js";
import type { AllocationSites } from "../memory/allocationSites.js";

/** The handles that one heap has made in one scope. It must not refer to the scope, so that one that is dropped is found. */
export interface ScopeRange {
  /**
   * Ends every handle of the range; called once for each opening, by the scope alone. It must not throw, and does nothing
   * to a range whose heap, or whose runtime, is gone. The range is the heap's again, to be opened for whatever scope asks.
   */
  $end(): void;
}

/** A heap as scopes see it. */
export interface ScopedHeap<Range extends ScopeRange = ScopeRange> {
  /** That of its runtime, whose scopes alone it serves. */
  readonly memory: object;

  /**
   * Opens a range of handles for `scope`, one that has ended if there is one, so that an event makes no garbage.
   *
   * @throws {OutOfMemoryError}, {SealedError}, {DisposedError}; then nothing has been opened
   */
  $openRange(scope: Scope): Range;

  /**
   * Makes a kept handle of `record`, which is one of this heap's.
   *
   * @throws {StaleReferenceError} if the record has ended
   * @throws {InvalidArgumentError} if it is a view inside an object, which is no object by itself
   * @throws {OutOfMemoryError}, {SealedError}, {DisposedError}; then nothing is kept
   */
  $keep<Record extends object>(record: Record): Record & Disposable;
}

/** What a range that has not been dropped takes at the least, in bytes: its guard. */
const RANGE_BYTES = 8;

/**
 * Handles that end together: each object that a heap makes for a scope, and each that is read through a cursor of it, is a
 * root until the scope ends. Then every cursor that the scope has given out is stale, at once, and what only they led to is
 * garbage, to be collected when the heap next works.
 *
 * One scope serves any number of heaps. In a handler it is `context.scope`, which ends with the event, also when that goes
 * on across an `await`; elsewhere `runtime.scope()`, to be ended by `using` or {@link end}. What must live longer is
 * {@link keep kept}.
 *
 * | operation | cost |
 * |---|---|
 * | end | O(heaps used in it), and a block given back for each thousand handles; under `"manual"` O(cursors given out) |
 * | keep | O(1) |
 *
 * @example
 * using scope = runtime.scope();
 * const head = heap.new(Node, scope);
 * head.next = heap.new(Node, scope);
 * document.root = scope.keep(head); // lives on; `head` itself, and the node behind it as `head.next`, end with the scope
 */
export class Scope {
  /** The heap used first, and its range; undefined while nothing is open, so that one comparison tells all. */
  #heap: ScopedHeap | undefined = undefined;
  #range: ScopeRange | undefined = undefined;
  /** Further heaps and their ranges, where a scope serves several. */
  #others: Map<ScopedHeap, ScopeRange> | undefined = undefined;
  #ended = false;
  readonly #memory: object;
  readonly #sites: AllocationSites | undefined;
  /** How many ranges are open, for `sites`: an object of its own, since these must not hold the scope. */
  readonly #open: { ranges: number } | undefined = undefined;

  /** Use `runtime.scope()`, or `context.scope`. `memory` is its runtime's; give `sites` for one that the program has to end. */
  constructor(memory: object, sites?: AllocationSites) {
    this.#memory = memory;
    this.#sites = sites;
    if (sites === undefined) return;
    const open = { ranges: 0 };
    this.#open = open;
    sites.register(this, "scope", () => open.ranges * RANGE_BYTES);
  }

  /** True after {@link end}. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Makes a kept handle of `record`: a cursor like any other, on the same object, which is a root until the handle is
   * released (`heap.release(handle)`, or `using`), whatever becomes of this scope.
   *
   * @param record a cursor or array on a whole object of a heap, whichever scope, or kept handle, it came from
   * @throws {ScopeEndedError} if this scope has ended
   * @throws {InvalidArgumentError} if it is no record of a heap of this runtime, or a view inside an object
   * @throws {StaleReferenceError} if it has ended
   * @throws {DisposedError} if its heap has been destroyed
   * @throws {ResurrectionError} in a destroy hook, for an object that dies
   * @throws {OutOfMemoryError}, {SealedError}; then nothing is kept
   */
  keep<Record extends object>(record: Record): Record & Disposable {
    if (this.#ended) this.refuse("keep");
    const heap = (record as { readonly $heap?: ScopedHeap } | null | undefined)?.$heap;
    if (typeof heap?.$keep === "function") {
      this.assertSameMemory(heap, "keep");
      return heap.$keep(record);
    }
    throw new InvalidArgumentError(`keep takes a cursor or array of a heap, but was given ${describe(record)}`);
  }

  /** Ends every handle made in it. A second call does nothing. Runs no destroy hook: those run when the heap works. */
  end(): void {
    this.#ended = true;
    this.#sites?.unregister(this);
    const range = this.#range;
    if (range === undefined) return;
    this.#heap = undefined;
    this.#range = undefined;
    range.$end();
    if (this.#others !== undefined) this.endOthers(this.#others);
  }

  /** As {@link end}. */
  [Symbol.dispose](): void {
    this.end();
  }

  /** Makes the scope one for the next event. It has ended, or has never been used. */
  $open(): void {
    this.#ended = false;
  }

  /**
   * The range of `heap` in this scope, which is opened when the first handle of an event needs it.
   *
   * @throws {ScopeEndedError} if the scope has ended
   * @throws {InvalidArgumentError} if the scope is of another runtime than the heap
   * @throws as {@link ScopedHeap.$openRange}
   */
  $rangeOf<Range extends ScopeRange>(heap: ScopedHeap<Range>): Range {
    return heap === this.#heap ? (this.#range as Range) : this.rangeSlow(heap);
  }

  private rangeSlow<Range extends ScopeRange>(heap: ScopedHeap<Range>): Range {
    if (this.#ended) this.refuse("a new handle");
    const known = this.#others?.get(heap);
    if (known !== undefined) return known as Range;
    this.assertSameMemory(heap, "a new handle");
    const range = heap.$openRange(this);
    if (this.#open !== undefined) this.#open.ranges++;
    if (this.#heap === undefined) {
      this.#heap = heap;
      this.#range = range;
    } else {
      this.#others ??= new Map();
      this.#others.set(heap, range);
    }
    return range;
  }

  private endOthers(others: Map<ScopedHeap, ScopeRange>): void {
    for (const range of others.values()) range.$end();
    others.clear(); // the map serves the next event
  }

  private assertSameMemory(heap: ScopedHeap, operation: string): void {
    if (heap.memory === this.#memory) return;
    throw new InvalidArgumentError(`${operation}: the scope is of another runtime than the heap`);
  }

  private refuse(operation: string): never {
    throw new ScopeEndedError(`${operation}: the scope has ended, and every handle made in it`);
  }
}
