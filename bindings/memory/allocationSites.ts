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
  | "frame";

/** Memory of one kind, made in one place of the program. */
export interface Leak {
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

/** What is known of an owner. It keeps neither the owner nor the other owners of the runtime alive. */
interface OwnerRecord {
  readonly kind: LeakKind;
  readonly site: number;
  readonly stack: string;
  readonly bytes: () => number;
  readonly onLeak: (leak: Leak) => void;
}

/** The way from this file's place to the folder that all of the package's files are below. */
const OWN_FILE = "memory/allocationSites.js";

/**
 * Who has made what is alive, for the debug runtime: `memory.sites`, which the release runtime does not have.
 *
 * A site is the stack of a making, interned, so that it is a small number that can lie in linear memory beside what was
 * made. Owners (whatever has a `dispose` or `destroy`) are registered here; who hands out pieces, as a pool does, is a
 * source, and lists them with their sites when asked.
 *
 * Owners that the garbage collector takes before they were disposed of are reported. The engine does that when it likes,
 * in a task of its own, and never while a program runs synchronously; at the end of a process it may not do it at all.
 *
 * @example
 * memory.sites?.register(this, "arena", () => memory.exports.arenaReserved(address) >>> 0); // in the constructor
 * memory.sites?.unregister(this); // in destroy
 */
export class AllocationSites {
  readonly #onLeak: (leak: Leak) => void;
  readonly #stacks: string[] = ["(not known)"];
  readonly #numbers = new Map<string, number>();
  /** Owners that have not been disposed of, those included that nobody can reach any more. */
  readonly #owners = new Set<OwnerRecord>();
  readonly #records = new WeakMap<object, OwnerRecord>();
  readonly #sources = new Set<() => Iterable<LiveMemory>>();

  /** @param onLeak told of each owner that is collected without having been disposed of */
  constructor(onLeak: (leak: Leak) => void) {
    this.#onLeak = onLeak;
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
   * @param bytes what the owner takes now; it must not refer to the owner, which could then never be collected, and is
   *   still asked when the owner is gone
   * @param site where it was made, if that is not here and now
   */
  register(owner: object, kind: LeakKind, bytes: () => number, site = this.siteOf()): void {
    const record: OwnerRecord = { kind, site, stack: this.stackOf(site), bytes, onLeak: this.#onLeak };
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
    for (const { kind, site, bytes } of this.#owners) if (kind !== "runtime") add(kind, site, bytes());
    for (const source of this.#sources) for (const { kind, site, bytes } of source()) add(kind, site, bytes);
    return [...found.values()].sort((one, other) => other.bytes - one.bytes);
  }

  /** Forgets everything: the runtime has been disposed of, and all that was in it is gone. */
  clear(): void {
    for (const record of this.#owners) this.#forget(record);
    this.#sources.clear();
  }

  #forget(record: OwnerRecord): void {
    this.#owners.delete(record);
    dropped().unregister(record);
  }
}

let registry: FinalizationRegistry<OwnerRecord> | undefined;

/** One for all runtimes, since the registry of a runtime that is dropped as a whole would be dropped with it. */
function dropped(): FinalizationRegistry<OwnerRecord> {
  registry ??= new FinalizationRegistry(({ kind, stack, bytes, onLeak }) => {
    onLeak({ kind, count: 1, bytes: bytes(), stack });
  });
  return registry;
}

/** The stack of whoever has called into the package. */
function callerStack(): string {
  const lines = (new Error().stack ?? "").split("\n").filter((line) => /:\d+:\d+/.test(line));
  // The top line is this function's own, and says where the package lies; in a bundle it lies where the program does.
  const end = lines[0]?.indexOf(OWN_FILE) ?? -1;
  const folder = end < 0 ? undefined : lines[0]!.slice(lines[0]!.search(/(?:[a-z-]+:\/\/|\/|[A-Z]:\\)/), end);
  const first = folder === undefined ? 1 : lines.findIndex((line) => !line.includes(folder));
  return lines.slice(Math.max(first, 0)).join("\n") || "(the engine shows no stack)";
}

/** What `onLeak` does by default. */
export function warnOfLeak({ kind, bytes, stack }: Leak): void {
  console.warn(
    `tidemark: a ${kind} of ${bytes} bytes has leaked: dropped, and never disposed of. It was made\n${stack}`,
  );
}
