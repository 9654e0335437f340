/** The request pattern with objects of a heap; the same program under every strategy. */

import {
  type ArrayObjectOf,
  type ArrayObjectType,
  array,
  type CursorOf,
  f64,
  type Heap,
  type Runtime,
  ref,
  type Scope,
  type Strategy,
  type StructType,
  struct,
  u32,
} from "tidemark";
import { type RequestsParameters, SURVIVAL, SURVIVES } from "./programs/requests.js";
import type { RequestHandler } from "./requestLoop.js";

const Item = struct("Item", { next: ref("Item"), related: ref("Item"), value: u32, weight: f64 });

type ItemCursor = typeof Item extends StructType<infer F> ? CursorOf<F> : never;

const items = array(ref(Item));
type ItemArray = typeof items extends ArrayObjectType<infer E> ? ArrayObjectOf<E> : never;

/** Items that live beside are made so many at a time, each time with a scope of their own. */
const BATCH = 1000;

/**
 * What is allocated before a cycle begins. A million items take 24 MB, and as much again for garbage leaves the process with no
 * more memory than plain objects take, whose engine has 16 MB for young ones alone; a cycle has three times as many events to be
 * spread over as by default.
 */
const MINIMUM_BYTES = 24 << 20;

/** A handler whose items are objects of a heap under `strategy`. */
export const handleInHeap =
  (strategy: Strategy) =>
  (runtime: Runtime, { beside }: RequestsParameters): RequestHandler =>
    new HeapRequests(runtime, runtime.heap(strategy, { types: [Item, items], minimumBytes: MINIMUM_BYTES }), beside);

class HeapRequests implements RequestHandler {
  readonly #heap: Heap;
  /** Arrays that are kept: what survives an event, and what lives beside. */
  readonly #survivors: ItemArray;
  readonly #beside: ItemArray;
  /** Cursors for all events: what an event makes is not garbage to the engine. */
  #item: ItemCursor;
  #head: ItemCursor;
  #survivor: ItemCursor;
  readonly #related: ItemCursor;
  readonly #walker: ItemCursor;
  readonly #total = new Float64Array(1);

  constructor(runtime: Runtime, heap: Heap, beside: number) {
    this.#heap = heap;
    this.#item = heap.cursor(Item);
    this.#head = heap.cursor(Item);
    this.#survivor = heap.cursor(Item);
    this.#related = heap.cursor(Item);
    this.#walker = heap.cursor(Item);
    const scope = runtime.scope();
    this.#survivors = scope.keep(heap.array(ref(Item), SURVIVAL, scope));
    this.#beside = scope.keep(heap.array(ref(Item), beside, scope));
    scope.end();
    for (let first = 0; first < beside; first += BATCH) this.#fill(runtime.scope(), first, beside);
    heap.collect();
  }

  #fill(scope: Scope, first: number, end: number): void {
    const item = this.#item;
    for (let index = first; index < Math.min(first + BATCH, end); index++) {
      this.#heap.new(Item, scope, item);
      item.value = index;
      this.#beside.set(index, item);
    }
    scope.end();
  }

  handle(event: number, count: number, { scope }: { readonly scope: Scope }): number {
    this.#build(event, count, scope);
    const total = this.#sum(this.#head) + this.#sum(this.#survivors.at(event % SURVIVAL));
    this.#survivors.set(event % SURVIVAL, count < SURVIVES ? null : this.#survivor);
    return total;
  }

  finish(): number {
    let total = 0;
    for (const survivor of this.#survivors) total += this.#sum(survivor);
    for (const item of this.#beside) total += this.#sum(item);
    return total;
  }

  // The loops are methods of their own, so that the engine compiles each with the accessors in place: a float that is passed to
  // a call, or returned by one, is garbage to it.

  #build(event: number, count: number, scope: Scope): void {
    const heap = this.#heap;
    const related = this.#related;
    let item = this.#item;
    let head = this.#head;
    let survivor = this.#survivor;
    for (let index = 0; index < count; index++) {
      heap.new(Item, scope, item);
      item.value = event + index;
      item.weight = index / 2;
      const made = item;
      if (index % SURVIVES === SURVIVES - 1) {
        if (index >= SURVIVES) item.next = survivor;
        item = survivor;
        survivor = made;
      } else {
        if (index > 0) {
          item.next = head;
          if (head.follow("next", related)) item.related = related;
        }
        item = head;
        head = made;
      }
    }
    this.#item = item;
    this.#head = head;
    this.#survivor = survivor;
  }

  #sum(first: Parameters<ItemCursor["moveTo"]>[0]): number {
    if (first === null) return 0;
    this.#walker.moveTo(first);
    this.#sumWalked();
    return this.#total[0]!;
  }

  #sumWalked(): void {
    const related = this.#related;
    const walker = this.#walker;
    const total = this.#total;
    total[0] = 0;
    do {
      total[0]! += walker.value + walker.weight;
      if (walker.follow("related", related)) total[0]! += related.value;
    } while (walker.follow("next"));
  }
}
