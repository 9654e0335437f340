import fc from "fast-check";
import {
  array,
  type CursorOf,
  DestroyHookError,
  type Heap,
  ReentrantCallError,
  ResurrectionError,
  type Runtime,
  ref,
  type Scope,
  StaleReferenceError,
  type StructType,
  struct,
  u32,
  weak,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { collectedRuns, withHeap } from "../support/heaps.js";
import { withoutStacks } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";

// A program as a user writes it, on a heap and on plain objects: cursors that move, scopes that end in any order, kept handles, hooks
// that do what hooks may do and try what they may not. Between any two operations the heap may work.

withoutStacks();

/** What can be told of a node before it is declared: the compiler does not work out structs that refer to each other. */
const toNode = (): StructType<{ id: typeof u32 }> => Node as never;
const Pair = struct("Pair", { link: ref(toNode), seen: weak(toNode) });
const File = struct("File", { id: u32, node: ref(toNode) }, { destroy: (file): void => world?.destroyed(file) });
const Node = struct("Node", {
  id: u32,
  next: ref("Node"),
  watch: weak("Node"),
  pair: Pair,
  pairs: array(Pair, 2),
  file: ref(File),
});
type NodeCursor = CursorOf<typeof Node.fields>;
type FileCursor = CursorOf<typeof File.fields>;

/** Whose hooks run now. */
let world: World | undefined;

/** An object as it should be. */
interface Plain {
  readonly id: number;
  readonly isFile: boolean;
  readonly strong: Map<string, Plain>;
  readonly weak: Map<string, Plain>;
}

/** What keeps an object reachable. */
interface Root {
  object: Plain;
}

interface PlainScope {
  readonly scope: Scope;
  readonly roots: Root[];
  readonly views: { readonly cursor: NodeCursor; root: Root }[];
}
type View = PlainScope["views"][number];

interface Kept {
  readonly cursor: NodeCursor & Disposable;
  readonly root: Root;
}

/** The places of references to nodes: those that are whole fields, and those inside nested structs, alone and in an array. */
const places = {
  next: { isWeak: false, of: (node: NodeCursor) => [node, "next"] },
  watch: { isWeak: true, of: (node: NodeCursor) => [node, "watch"] },
  link: { isWeak: false, of: (node: NodeCursor) => [node.pair, "link"] },
  seen: { isWeak: true, of: (node: NodeCursor) => [node.pair, "seen"] },
  "pairs.link": { isWeak: false, of: (node: NodeCursor) => [node.pairs.at(1), "link"] },
  "pairs.seen": { isWeak: true, of: (node: NodeCursor) => [node.pairs.at(0), "seen"] },
} as const;
type Place = keyof typeof places;
const placeNames = Object.keys(places) as Place[];

function load(node: NodeCursor, place: Place): NodeCursor | null {
  const [record, field] = places[place].of(node) as [Record<string, unknown>, string];
  return record[field] as NodeCursor | null;
}

function store(node: NodeCursor, place: Place, value: NodeCursor | null): void {
  const [record, field] = places[place].of(node) as [Record<string, unknown>, string];
  record[field] = value;
}

const operation = fc.record({
  type: fc.constantFrom(
    ...(["make", "make", "make", "file", "file", "store", "store", "store", "read", "read", "move", "follow"] as const),
    ...(["open", "end", "end", "keep", "release", "readKept", "step", "step", "step", "collect", "refuse"] as const),
  ),
  one: fc.nat(1000),
  other: fc.nat(1000),
});
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

class World {
  readonly #heap: Heap;
  readonly #runtime: Runtime;
  readonly #scopes: PlainScope[] = [];
  readonly #kept: Kept[] = [];
  readonly #files = new Map<number, Plain>();
  /** The files whose hooks have run, and what was wrong in one: a hook's own errors are counted, and not thrown to the test. */
  readonly #destroyed = new Set<number>();
  #fault: unknown;
  #made = 0;

  constructor(heap: Heap, runtime: Runtime) {
    this.#heap = heap;
    this.#runtime = runtime;
    this.#open();
  }

  play({ type, one, other }: Operation): void {
    const scope = this.#scopes[one % this.#scopes.length]!;
    const view = scope.views.at(-1 - (other % Math.max(1, Math.min(6, scope.views.length))));
    const place = placeNames[other % placeNames.length]!;
    if (type === "open") this.#open();
    else if (type === "end") this.#end(one);
    else if (type === "make") this.#make(scope, other % 4 === 0 ? view : undefined);
    else if (type === "step") this.#work(() => this.#heap.step([1, 1, 1, 7, 100][one % 5]));
    else if (type === "collect") this.#collect();
    else if (type === "refuse") this.#refuse();
    else if (type === "release") this.#release(one);
    else if (type === "readKept") this.#readKept(one, place);
    else if (view !== undefined) this.#playOn(type, scope, view, this.#someView(one + other), place);
    if (this.#fault !== undefined) throw this.#fault;
  }

  #playOn(type: Operation["type"], scope: PlainScope, view: View, other: View | undefined, place: Place): void {
    const { cursor, root } = view;
    const { object } = root;
    expect(cursor.id).toBe(object.id);
    if (type === "file") this.#makeFile(scope, view);
    else if (type === "keep") this.#kept.push({ cursor: scope.scope.keep(cursor), root: { object } });
    else if (type === "read") this.#read(scope, view, place);
    else if (type === "follow") {
      const next = object.strong.get("next");
      expect(cursor.follow("next")).toBe(next !== undefined);
      root.object = next ?? object;
    } else if (type === "move" && other !== undefined) {
      cursor.moveTo(other.cursor);
      root.object = other.root.object;
    } else if (type === "store") {
      store(cursor, place, other?.cursor ?? null);
      const references = places[place].isWeak ? object.weak : object.strong;
      if (other === undefined) references.delete(place);
      else references.set(place, other.root.object);
    }
  }

  /** One of any scope; undefined for some numbers. */
  #someView(number: number): View | undefined {
    const { views } = this.#scopes[number % this.#scopes.length]!;
    return number % 5 === 0 ? undefined : views[number % Math.max(1, views.length)];
  }

  #open(): void {
    if (this.#scopes.length < 6) this.#scopes.push({ scope: this.#runtime.scope(), roots: [], views: [] });
  }

  #end(number: number): void {
    const [{ scope, views }] = this.#scopes.splice(number % this.#scopes.length, 1) as [PlainScope];
    scope.end();
    for (const { cursor } of views.slice(-3)) expect(() => cursor.id).toThrow(StaleReferenceError);
    if (this.#scopes.length === 0) this.#open();
  }

  #addPlain(isFile: boolean): Plain {
    return { id: ++this.#made, isFile, strong: new Map(), weak: new Map() };
  }

  /** A node, shown by a fresh cursor, or by one that leaves another node rooted where it was. */
  #make({ scope, roots, views }: PlainScope, reused?: View): void {
    const cursor = this.#heap.new(Node, scope, reused?.cursor);
    expect([cursor.id, cursor.next, cursor.pairs.at(1).link]).toEqual([0, null, null]);
    const root = { object: this.#addPlain(false) };
    cursor.id = root.object.id;
    roots.push(root);
    if (reused === undefined) views.push({ cursor, root });
    else reused.root = root;
  }

  #makeFile({ scope, roots }: PlainScope, { cursor, root }: View): void {
    const file = this.#heap.new(File, scope);
    const object = this.#addPlain(true);
    file.id = object.id;
    file.node = cursor;
    cursor.file = file;
    object.strong.set("node", root.object);
    root.object.strong.set("file", object);
    roots.push({ object });
    this.#files.set(object.id, object);
  }

  #read({ roots, views }: PlainScope, { cursor, root }: View, place: Place): void {
    const { isWeak } = places[place];
    const references = isWeak ? root.object.weak : root.object.strong;
    const object = references.get(place);
    const found = load(cursor, place);
    if (isWeak && found === null && object !== undefined) {
      expect(this.#reachable().has(object)).toBe(false);
      references.delete(place);
      return;
    }
    expect(found?.id).toBe(object?.id);
    if (found === null) return;
    const added = { object: object! };
    roots.push(added);
    views.push({ cursor: found, root: added });
  }

  /** What is read through a kept handle is good until the heap works. */
  #readKept(number: number, place: Place): void {
    if (this.#kept.length === 0) return;
    const { cursor, root } = this.#kept[number % this.#kept.length]!;
    expect(cursor.id).toBe(root.object.id);
    if (places[place].isWeak) return;
    const found = load(cursor, place);
    expect(found?.id).toBe(root.object.strong.get(place)?.id);
    const { steps } = this.#heap.stats();
    this.#work(() => this.#heap.step(1));
    if (found !== null && this.#heap.stats().steps > steps) expect(() => found.id).toThrow(StaleReferenceError);
  }

  #release(number: number): void {
    if (this.#kept.length === 0) return;
    const [{ cursor }] = this.#kept.splice(number % this.#kept.length, 1) as [Kept];
    this.#heap.release(cursor);
    expect(() => cursor.id).toThrow(StaleReferenceError);
  }

  // ── collecting ────────────────────────────────────────────────────────────────────────────────────────────────────

  #reachable(): Set<Plain> {
    const found = new Set<Plain>();
    const waiting = [...this.#scopes.flatMap(({ roots }) => roots), ...this.#kept.map(({ root }) => root)].map(
      ({ object }) => object,
    );
    for (let object = waiting.pop(); object !== undefined; object = waiting.pop()) {
      if (found.has(object)) continue;
      found.add(object);
      waiting.push(...object.strong.values());
    }
    return found;
  }

  /** Some hooks throw, when all is done. */
  #work(work: () => unknown): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof DestroyHookError)) throw error;
    }
    if (this.#fault !== undefined) throw this.#fault;
  }

  /** Does `work` until no hook has run, since a hook may drop something, and expects that nothing unreachable is left. */
  #expectClean(work: () => void): void {
    let destroyed: number;
    do {
      destroyed = this.#destroyed.size;
      this.#work(work);
    } while (this.#destroyed.size > destroyed);
    const reachable = this.#reachable();
    expect(this.#heap.stats().objects).toBe(reachable.size);
    for (const [id, file] of this.#files) if (!reachable.has(file)) expect(this.#destroyed).toContain(id);
  }

  #collect(): void {
    this.#expectClean(() => this.#heap.collect());
  }

  /** A second refusal finds what was garbage in the cycle under way, and a third has nothing to look for. */
  #refuse(): void {
    const [collector] = this.#runtime.$memory.collectors;
    const refuse = () => {
      collector!.$refused(1);
      for (let isMore = true; isMore; ) {
        this.#work(() => {
          isMore = true; // where a hook throws
          isMore = collector!.$idle();
        });
      }
    };
    refuse();
    refuse();
    this.#expectClean(refuse);
    const { cycles } = this.#heap.stats();
    refuse();
    expect(this.#heap.stats().cycles).toBe(cycles);
  }

  /** The hook of files. */
  destroyed(file: FileCursor): void {
    const { id } = file;
    try {
      const object = this.#files.get(id)!;
      expect([this.#destroyed.has(id), this.#reachable().has(object)]).toEqual([false, false]);
      this.#destroyed.add(id);
      expect(file.node?.id).toBe(object.strong.get("node")?.id);
      this.#misbehave(file, id % 8);
    } catch (error) {
      this.#fault ??= error;
    }
    if (id % 7 === 0) throw new Error("a hook's own");
  }

  #misbehave(file: FileCursor, number: number): void {
    const [scope] = this.#scopes as [PlainScope];
    const view = scope.views.at(-1);
    const refused = (call: () => unknown) => expect(call).toThrow(ReentrantCallError);
    if (number === 0) refused(() => this.#heap.step(1));
    else if (number === 1) refused(() => this.#heap.collect());
    else if (number === 2) refused(() => this.#heap.destroy());
    else if (number === 3) expect(() => scope.scope.keep(file)).toThrow(ResurrectionError);
    else if (number === 4) for (let count = 0; count < 3; count++) this.#make(scope, count === 1 ? view : undefined);
    else if (number === 5) this.#release(number);
    else if (number === 6) this.#end(this.#scopes.length - 1);
    else if (view !== undefined) {
      expect(() => {
        view.cursor.file = file;
      }).toThrow(ResurrectionError);
    }
  }
}

describe.each(collectedRuns)("the objects of a $strategy heap of the $name module", (run) => {
  test("live as long as they can be reached, whatever the program and its hooks do between two steps", async () => {
    const types = [Node, File];
    await fc.assert(
      fc.asyncProperty(
        fc.array(operation, { maxLength: 200, size: "max" }),
        fc.constantFrom(1, 1000, 1 << 20),
        (operations, minimumBytes) =>
          withHeap(run, { types, minimumBytes, stepUnits: 50 }, (heap, runtime) => {
            world = new World(heap, runtime);
            try {
              for (const next of operations) world.play(next);
            } finally {
              world = undefined;
            }
          }),
      ),
      { numRuns: scaled(60) },
    );
  });
});
