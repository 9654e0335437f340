import fc from "fast-check";
import {
  type CursorOf,
  type Heap,
  type Runtime,
  ref,
  type Scope,
  StaleReferenceError,
  struct,
  u32,
  weak,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { withHeap } from "../support/heaps.js";
import { modules, withoutStacks } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";

withoutStacks();

const Node = struct("Node", { id: u32, next: ref("Node"), watch: weak("Node") });
type NodeCursor = CursorOf<typeof Node.fields>;

const operation = fc.record({
  type: fc.constantFrom(
    "open",
    "end",
    "make",
    "make",
    "make",
    "free",
    "keep",
    "release",
    "walker",
    "move",
    "follow",
    "read",
    "readWeak",
    "store",
    "store",
    "storeWeak",
  ),
  one: fc.nat(1000),
  other: fc.nat(1000),
});
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

/** An object as it should be. */
interface Plain {
  readonly id: number;
  freed: boolean;
  next: Plain | null;
  watch: Plain | null;
}

/** What shows an object, until its scope ends or it is released. */
interface View {
  readonly cursor: NodeCursor;
  readonly isKept: boolean;
  /** Undefined if it shows nothing any more. */
  target: Plain | undefined;
  /** Undefined if no scope ends it. */
  scope: Scope | undefined;
}

/** A manual heap beside plain objects. */
class HeapAndObjects {
  readonly #heap: Heap;
  readonly #runtime: Runtime;
  readonly #objects: Plain[] = [];
  readonly #views: View[] = [];
  readonly #scopes: Scope[] = [];

  constructor(heap: Heap, runtime: Runtime) {
    this.#heap = heap;
    this.#runtime = runtime;
  }

  play({ type, one, other }: Operation): void {
    if (type === "open") this.#scopes.push(this.#runtime.scope());
    else if (type === "walker") this.#add(this.#heap.cursor(Node), undefined, undefined);
    else if (type === "end") this.#endScope(one);
    else if (type === "make") this.#make(one);
    else if (this.#views.length > 0) {
      const view = this.#pick(one);
      if (type === "release") this.#release(view);
      else if (!this.#isLive(view)) this.#expectStale(view);
      else this.#playOn(view, view.target!, type, this.#pick(other));
    }
  }

  /** One of all, or of the last few, so that several things happen to the same. */
  #pick(number: number): View {
    const views = this.#views;
    return views.at(-1 - (number % Math.min(number % 4 === 0 ? views.length : 5, views.length)))!;
  }

  #playOn(view: View, target: Plain, type: Operation["type"], other: View): void {
    const { cursor } = view;
    if (type === "free") {
      this.#heap.free(cursor);
      target.freed = true;
    } else if (type === "keep") {
      const keeper = this.#runtime.scope();
      this.#add(keeper.keep(cursor), target, undefined, true);
      keeper.end();
    } else if (type === "follow") this.#follow(view, target);
    else if (type === "read") this.#read(view, target);
    else if (type === "readWeak") {
      const shown = target.watch?.freed === false ? target.watch : null;
      const watched = cursor.watch as NodeCursor | null;
      expect(watched?.id).toBe(shown?.id);
      if (watched !== null) this.#add(watched, shown!, view.scope);
    } else if (!this.#isLive(other)) {
      const store = () => {
        cursor.next = other.cursor;
      };
      if (other.target !== undefined) expect(store).toThrow(StaleReferenceError);
    } else if (type === "store") {
      cursor.next = other.cursor;
      target.next = other.target!;
    } else if (type === "storeWeak") {
      cursor.watch = other.cursor;
      target.watch = other.target!;
    } else this.#move(view, other);
  }

  /** Through a fresh cursor, or one that has shown something else, perhaps for another scope. */
  #make(pick: number): void {
    if (this.#scopes.length === 0) this.#scopes.push(this.#runtime.scope());
    const scope = this.#scopes[pick % this.#scopes.length]!;
    const object: Plain = { id: this.#objects.length + 1, freed: false, next: null, watch: null };
    const reused = pick % 3 === 0 ? this.#views.find(({ isKept }) => !isKept) : undefined;
    const cursor = this.#heap.new(Node, scope, reused?.cursor);
    expect([cursor.id, cursor.next, cursor.watch]).toEqual([0, null, null]);
    cursor.id = object.id;
    this.#objects.push(object);
    if (reused === undefined) this.#add(cursor, object, scope);
    else Object.assign(reused, { target: object, scope });
  }

  #add(cursor: NodeCursor, target: Plain | undefined, scope: Scope | undefined, isKept = false): void {
    this.#views.push({ cursor, target, scope, isKept });
  }

  #endScope(pick: number): void {
    if (this.#scopes.length === 0) return;
    const [scope] = this.#scopes.splice(pick % this.#scopes.length, 1) as [Scope];
    scope.end();
    for (const view of this.#views) {
      if (view.scope !== scope) continue;
      view.scope = undefined;
      view.target = undefined;
    }
  }

  #release(view: View): void {
    if (!view.isKept) return;
    this.#heap.release(view.cursor);
    view.target = undefined;
    this.#views.splice(this.#views.indexOf(view), 1);
  }

  /** Its own scope goes before that of what it is moved to, and being kept before both. */
  #move(view: View, other: View): void {
    view.cursor.moveTo(other.cursor);
    view.target = other.target;
    if (!view.isKept) view.scope ??= other.scope;
  }

  #follow(view: View, { next }: Plain): void {
    if (next?.freed) {
      expect(() => view.cursor.follow("next")).toThrow(StaleReferenceError);
      return;
    }
    expect(view.cursor.follow("next")).toBe(next !== null);
    if (next !== null) view.target = next;
  }

  #read(view: View, { next }: Plain): void {
    if (next?.freed) {
      expect(() => (view.cursor.next as NodeCursor).id).toThrow(StaleReferenceError);
      return;
    }
    const cursor = view.cursor.next as NodeCursor | null;
    expect(cursor?.id).toBe(next?.id);
    if (cursor !== null) this.#add(cursor, next!, view.scope);
  }

  #isLive({ target }: View): boolean {
    return target !== undefined && !target.freed;
  }

  #expectStale({ cursor }: View): void {
    expect(cursor.isLive()).toBe(false);
    expect(() => cursor.id).toThrow(StaleReferenceError);
    expect(() => this.#heap.free(cursor)).toThrow(StaleReferenceError);
  }

  check(): void {
    for (const view of this.#views) {
      const { cursor, target } = view;
      if (!this.#isLive(view)) expect(cursor.isLive()).toBe(false);
      else {
        const watched = target!.watch?.freed ? null : target!.watch;
        expect([cursor.id, (cursor.watch as NodeCursor | null)?.id]).toEqual([target!.id, watched?.id]);
      }
    }
    const objects = this.#objects.filter(({ freed }) => !freed).length;
    const handles = this.#views.filter(({ isKept }) => isKept).length;
    expect(this.#heap.stats()).toMatchObject({ objects, handles, freedObjects: this.#objects.length - objects });
    this.#heap.validate();
  }

  end(): void {
    while (this.#scopes.length > 0) this.#endScope(0);
    for (const view of [...this.#views]) this.#release(view);
    this.check();
  }
}

describe.each(modules)("a manual heap of the $name module", (module) => {
  test("does what plain objects do that know when they are freed, whoever shows them, in whatever scope", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 60, maxLength: 150, size: "max" }), (operations) =>
        withHeap({ ...module, strategy: "manual" }, { types: [Node] }, (heap, runtime) => {
          const model = new HeapAndObjects(heap, runtime);
          for (const operation of operations) {
            model.play(operation);
            model.check();
          }
          model.end();
        }),
      ),
      { numRuns: scaled(60) },
    );
  });
});
