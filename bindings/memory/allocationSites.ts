import type { LinearMemory } from "./linearMemory.js";

/** What can be left behind: owners of memory, and the pieces that some of them hand out one by one. */
export type LeakKind =
  | "runtime"
  | "arena"
  | "regionPool"
  | "sortedMap"
  | "pool"
  | "cell"
  | "byteHeap"
  | "block"
  | "framePool"
  | "frame"
  | "scope"
  | "heap"
  | "handle"
  | "timers"
  | "messageRing";

/** Memory of one kind, made in one place of the program. */
export interface Leak {
  /** What it is that has been left behind. */
  readonly kind: LeakKind;
  /** How many there are. */
  readonly count: number;
  /** What they take, in bytes, with what they hold in reserve. */
  readonly bytes: number;
  /** Where they were made: the engine's stack, without Tidemark's own frames on top. */
  readonly stack: string;
}

/** Something that is alive, as a source lists it: where it was made, by the number that `siteOf` gave. */
export interface LiveMemory {
  readonly kind: LeakKind;
  readonly site: number;
  readonly bytes: number;
}

/** What the owner takes now, in bytes. */
type BytesOf = (memory: LinearMemory) => number;

/**
 * What is known of an owner. It keeps neither the owner nor the runtime alive: the registry below holds on to it until the
 * owner is collected.
 */
interface OwnerRecord {
  readonly kind: LeakKind;
  readonly site: number;
  readonly stack: string;
  readonly memory: WeakRef<LinearMemory>;
  readonly bytes: BytesOf;
  readonly onLeak: (leak: Leak) => void;
}

/** A frame of this very file, compiled or mapped to its source, and the folder that all of the package's files are below. */
const OWN_FRAME = /((?:[a-z-]+:\/\/|[A-Z]:|\/).*[\\/])memory[\\/]allocationSites\.[jt]s:/;

/**
 * Who has made what is alive, for the debug runtime: `memory.sites`, which the release runtime does not have.
 *
 * A site is the stack of a making, interned, so that it is a small number that can lie in linear memory beside what was
 * made. Owners (whatever has a `dispose` or `destroy`) are registered here; who hands out pieces, as a pool does, is a
 * source, and lists them with their sites when asked.
 *
 * Owners that the garbage collector takes before they were disposed of are reported. The engine does that when it likes,
 * in a task of its own, and never while a program runs synchronously; at the end of a process it may not do it at all. A
 * runtime that is dropped with all that is in it is reported as one.
 *
 * @example
 * memory.sites?.register(this, "arena", ({ exports }) => exports.arenaReserved(address) >>> 0); // in the constructor
 * memory.sites?.unregister(this); // in destroy
 */
export class AllocationSites {
  readonly #memory: LinearMemory;
  readonly #onLeak: (leak: Leak) => void;
  readonly #stacks: string[] = ["(not known)"];
  readonly #numbers = new Map<string, number>();
  /** Owners that have not been disposed of, those included that nobody can reach any more. */
  readonly #owners = new Set<OwnerRecord>();
  readonly #records = new WeakMap<object, OwnerRecord>();
  readonly #sources = new Set<() => Iterable<LiveMemory>>();

  /** What is told of the runtime itself. */
  readonly #runtime: RuntimeRecord;

  /**
   * @param onLeak told of each owner that is collected without having been disposed of, and of the runtime
   * @param stack where the runtime was made
   */
  constructor(memory: LinearMemory, onLeak: (leak: Leak) => void, stack: string) {
    this.#memory = memory;
    this.#onLeak = onLeak;
    this.#runtime = { kind: "runtime", stack, raw: memory.raw, onLeak };
    dropped().register(memory, this.#runtime, this.#runtime);
  }

  /** The number of the place in the program that is calling into Tidemark now: 1 or more, the same for the same stack. */
  siteOf(): number {
    const stack = callerStack();
    const known = this.#numbers.get(stack);
    if (known !== undefined) return known;
    const site = this.#stacks.push(stack) - 1;
    this.#numbers.set(stack, site);
    return site;
  }

  /** The stack of a site. */
  stackOf(site: number): string {
    return this.#stacks[site] ?? this.#stacks[0]!;
  }

  /**
   * Takes note of an owner that is being made.
   *
   * @param bytes what the owner takes now. It must refer neither to the owner nor to the memory, which could then never be
   *   collected, and so must none of the functions that were made in one call with it: they share what they refer to. It is asked
   *   too when the owner is gone
   */
  register(owner: object, kind: LeakKind, bytes: BytesOf): void {
    const site = this.siteOf();
    const memory = new WeakRef(this.#memory);
    const record: OwnerRecord = { kind, site, stack: this.stackOf(site), memory, bytes, onLeak: this.#onLeak };
    this.#records.set(owner, record);
    this.#owners.add(record);
    dropped().register(owner, record, record);
  }

  /** Forgets an owner that has been disposed of. */
  unregister(owner: object): void {
    const record = this.#records.get(owner);
    if (record === undefined) return;
    this.#records.delete(owner);
    this.#forget(record);
  }

  /**
   * Has `list` called whenever what is alive is asked for.
   *
   * @returns a function that takes the source off again
   */
  addSource(list: () => Iterable<LiveMemory>): () => void {
    this.#sources.add(list);
    return () => this.#sources.delete(list);
  }

  /** All that is alive, what is of one kind and site as one, the most bytes first. O(n). */
  leaks(): Leak[] {
    const found = new Map<string, { kind: LeakKind; count: number; bytes: number; stack: string }>();
    const add = (kind: LeakKind, site: number, bytes: number): void => {
      const key = `${kind} ${site}`;
      const group = found.get(key) ?? { kind, count: 0, bytes: 0, stack: this.stackOf(site) };
      group.count++;
      group.bytes += bytes;
      found.set(key, group);
    };
    for (const { kind, site, bytes } of this.#owners) {
      const owned = bytes(this.#memory);
      if (owned > 0) add(kind, site, owned); // a region pool may have nothing yet
    }
    for (const source of this.#sources) for (const { kind, site, bytes } of source()) add(kind, site, bytes);
    return [...found.values()].sort((one, other) => other.bytes - one.bytes);
  }

  /** Forgets everything: the runtime has been disposed of, and all that was in it is gone. */
  clear(): void {
    for (const record of this.#owners) this.#forget(record);
    this.#sources.clear();
    dropped().unregister(this.#runtime);
  }

  #forget(record: OwnerRecord): void {
    this.#owners.delete(record);
    dropped().unregister(record);
  }
}

/** What is known of a runtime. */
interface RuntimeRecord {
  readonly kind: "runtime";
  readonly stack: string;
  readonly raw: WebAssembly.Memory;
  readonly onLeak: (leak: Leak) => void;
}

let registry: FinalizationRegistry<OwnerRecord | RuntimeRecord> | undefined;

/** One for all runtimes, since the registry of a runtime that is dropped as a whole would be dropped with it. */
function dropped(): FinalizationRegistry<OwnerRecord | RuntimeRecord> {
  registry ??= new FinalizationRegistry(report);
  return registry;
}

function report(record: OwnerRecord | RuntimeRecord): void {
  const { kind, stack, onLeak } = record;
  if ("raw" in record) {
    onLeak({ kind, count: 1, bytes: record.raw.buffer.byteLength, stack });
    return;
  }
  const memory = record.memory.deref();
  if (memory === undefined) return; // gone with its runtime, which is reported
  memory.recover();
  const bytes = record.bytes(memory);
  if (bytes > 0) onLeak({ kind, count: 1, bytes, stack });
}

/** The stack of whoever is calling into the package. */
export function callerStack(): string {
  // A string, unless the program has set `Error.prepareStackTrace`.
  const lines = String(new Error().stack ?? "")
    .split("\n")
    .filter((line) => /:\d+:\d+/.test(line));
  // The top line is this function's own, and says where the package lies; in a bundle it lies where the program does.
  const folder = OWN_FRAME.exec(lines[0] ?? "")?.[1];
  const first = folder === undefined ? 1 : lines.findIndex((line) => !line.includes(folder));
  return lines.slice(Math.max(first, 0)).join("\n") || "(the engine shows no stack)";
}

/** What `onLeak` does by default. */
export function warnOfLeak({ kind, bytes, stack }: Leak): void {
  console.warn(`tidemark: leaked: ${kind} of ${bytes} bytes, dropped without having been disposed of. Made\n${stack}`);
}
