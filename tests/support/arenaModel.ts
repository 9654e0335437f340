import {
  type Arena,
  type ArenaMark,
  type Bytes,
  LimitExceededError,
  OutOfMemoryError,
  type Runtime,
  StaleMarkError,
  StaleReferenceError,
} from "tidemark";
import { expect } from "vitest";
import { type Item, isAlive, Node, type NodeCursor, type NodeItem, nodeItem, patternedItem } from "./arenaItems.js";
import { arenaWord, Owner, PAGE, validate } from "./runtimes.js";

const MARK_BYTES = 32;
const BLOCK_HEADER = 16;
const SMALL_BLOCK = 4352;
const SMALL_HEADER = 256;
const OVERSIZE = 4 * PAGE;
const GRAIN = 8;
/** Elements in the first segment of a growable array of nodes. */
const FIRST_SEGMENT = 4;

/** What was made since a mark, or since the arena's start. */
interface Frame {
  readonly mark: ArenaMark | undefined;
  /** `stats().used` when the mark had been made. */
  readonly used: number;
  readonly items: Item[];
  readonly children: ArenaModel[];
}

/** Sees to the parts that all arenas of one run share. */
export class World {
  readonly roots: ArenaModel[] = [];
  /** All live items by address, to find overlaps. */
  readonly live = new Set<Item>();
  /** Items that have ended, of which some are looked at later. */
  readonly ended: Item[] = [];
  readonly deadMarks: { arena: ArenaModel; mark: ArenaMark }[] = [];
  stamp = 0;
  refusals = 0;

  constructor(
    readonly runtime: Runtime,
    /** Look at everything after each step. */
    readonly thorough: boolean,
  ) {}

  get arenas(): ArenaModel[] {
    const found: ArenaModel[] = [];
    const visit = (arena: ArenaModel) => {
      found.push(arena);
      for (const frame of arena.frames) frame.children.forEach(visit);
    };
    this.roots.forEach(visit);
    return found;
  }

  /** Makes an arena without a parent, or finds out that there is no memory for it. */
  attemptRoot(options: { maximumBytes?: number; sizeHint?: number }): void {
    try {
      const arena = this.runtime.arena(options);
      this.roots.push(new ArenaModel(this, arena, undefined, options.maximumBytes ?? Infinity));
    } catch (error) {
      this.refusals++;
      if (!(error instanceof OutOfMemoryError)) throw error;
    }
  }

  add(item: Item): void {
    const end = item.address + item.size;
    for (const other of this.live) {
      if (other.address < end && other.address + other.size > item.address) {
        expect.fail(`${item.address}+${item.size} overlaps ${other.address}+${other.size}`);
      }
    }
    this.live.add(item);
  }

  end(item: Item): void {
    item.live = false;
    this.live.delete(item);
    this.ended.push(item);
  }

  /** Checks one item: it keeps its content while it lives, and is stale afterwards. */
  checkItem(item: Item): void {
    const alive = item.isLive();
    if (alive !== undefined && alive !== item.live) expect([item.address, alive]).toEqual([item.address, item.live]);
    if (item.live) item.check();
  }

  check(): void {
    if (!this.thorough) return;
    this.checkAll();
  }

  checkAll(): void {
    for (const item of this.live) this.checkItem(item);
    for (const item of this.ended.slice(-50)) this.checkItem(item);
    const arenas = this.arenas;
    for (const arena of arenas) arena.checkStats();
    validate(this.runtime, ...arenas.map((model) => model.arena));
  }
}

/** One arena and what should be true of it. */
class ArenaModel {
  frames: Frame[] = [{ mark: undefined, used: 0, items: [], children: [] }];
  used = 0;
  highWater = 0;
  resets = 0;

  constructor(
    readonly world: World,
    readonly arena: Arena,
    readonly parent: ArenaModel | undefined,
    readonly maximumBytes: number,
  ) {}

  get #top(): Frame {
    return this.frames[this.frames.length - 1]!;
  }

  get items(): Item[] {
    return this.frames.flatMap((frame) => frame.items);
  }

  get children(): ArenaModel[] {
    return this.frames.flatMap((frame) => frame.children);
  }

  checkStats(): void {
    const stats = this.arena.stats();
    const { blocks, reserved, ...figures } = stats;
    expect(figures).toEqual({
      used: this.used,
      highWater: this.highWater,
      maximumBytes: this.maximumBytes,
      resets: this.resets,
      children: this.children.length,
      marks: this.frames.length - 1,
    });
    expect(reserved).toBeGreaterThanOrEqual(this.used);
    expect(blocks).toBeGreaterThan(0);
  }

  // ── allocating ────────────────────────────────────────────────────────────────────────────────────────────────────

  raw(size: number, alignment: number): void {
    this.#attempt(size, alignment, () => {
      const address = this.arena.allocate(size, alignment);
      const view = () => this.world.runtime.$memory.u8.subarray(address, address + size);
      return { address, item: patternedItem(address, size, view, () => undefined, ++this.world.stamp) };
    });
  }

  bytes(size: number): void {
    this.#attempt(size, GRAIN, () => {
      const bytes: Bytes = this.arena.bytes(size);
      const { address } = bytes;
      const isLive = () => isAlive(() => bytes.address);
      return { address, item: patternedItem(address, size, () => bytes.view(), isLive, ++this.world.stamp) };
    });
  }

  /** A new node, with refs to nodes that the caller has picked. */
  node(next: NodeItem | undefined, other: NodeItem | undefined): void {
    this.#attempt(Node.size, GRAIN, () => {
      const cursor = this.arena.new(Node);
      expect(cursor.toObject()).toEqual({ id: 0, next: null, other: null, stamp: 0n });
      const item = nodeItem(cursor, ++this.world.stamp);
      cursor.id = item.id;
      cursor.stamp = BigInt(item.id) << 32n;
      if (next?.live) {
        item.next = next;
        cursor.next = next.cursor;
      }
      if (other?.live) {
        item.other = other;
        cursor.other = other.cursor;
      }
      return { address: cursor.$address, item };
    });
  }

  /** A growable array, filled right away: several segments, each an allocation. */
  array(count: number): void {
    const first = this.world.stamp + 1;
    this.world.stamp += count;
    const array = this.arena.array(Node);
    let pushed = 0;
    const addresses: number[] = [];
    try {
      for (; pushed < count; pushed++) {
        const cursor = array.push();
        expect(cursor.id).toBe(0);
        cursor.id = first + pushed;
        addresses.push(cursor.$address);
      }
    } catch (error) {
      this.#refused(error);
    }
    // The elements' places are disjoint; that of one segment is checked against all others.
    const bounds = { address: addresses[0] ?? 0, size: Math.min(pushed, FIRST_SEGMENT) * Node.size };
    const item: Item = {
      ...bounds,
      live: true,
      isLive: () => isAlive(() => array.at(0)),
      check() {
        for (let index = 0; index < pushed; index++) {
          const cursor = array.at(index);
          if (cursor.id !== first + index) expect([index, cursor.id]).toEqual([index, first + index]);
        }
      },
    };
    let capacity = 0;
    for (let segment = FIRST_SEGMENT; capacity < pushed; segment *= 2) capacity += segment;
    this.#noteUsed(this.used + capacity * Node.size);
    if (this.world.thorough) this.checkUsed();
    if (pushed > 0) {
      this.world.add(item);
      this.#top.items.push(item);
    }
  }

  #noteUsed(used: number): void {
    this.used = used;
    this.highWater = Math.max(this.highWater, used);
  }

  /** Runs an allocation and checks its place and its bill, or that a refusal was right and changed nothing. */
  #attempt(size: number, alignment: number, allocate: () => { address: number; item: Item }): void {
    const rounded = Math.ceil(size / GRAIN) * GRAIN;
    const aligned = Math.max(alignment, GRAIN);
    // A look at the header takes the arena out of the fast path's hands, so it is not taken where nothing depends on it.
    const looks = this.world.thorough || aligned > GRAIN;
    const before = looks ? this.arena.stats() : undefined;
    const cursor = looks ? arenaWord(this.arena, "ARENA_CURSOR") : 0;
    const movedPadding = Math.max(0, aligned - BLOCK_HEADER);
    let made: { address: number; item: Item };
    try {
      made = allocate();
    } catch (error) {
      this.#refused(error);
      if (before !== undefined) expect(this.arena.stats()).toEqual(before);
      else this.checkStats();
      const room = this.maximumBytes - this.used;
      if (error instanceof LimitExceededError) expect(rounded + movedPadding).toBeGreaterThan(room);
      return;
    }
    const { address, item } = made;
    if (address % aligned !== 0) expect([address, aligned]).toEqual([address - (address % aligned), aligned]);
    this.#noteUsed(this.used + rounded + (looks ? this.#padding(address, rounded, aligned, cursor) : 0));
    if (looks) this.checkUsed();
    this.world.add(item);
    this.#top.items.push(item);
  }

  /** The padding before what has been allocated at `address`: where it went is seen from the header's cursor. */
  #padding(address: number, rounded: number, aligned: number, cursor: number): number {
    const inPlace = Math.ceil(cursor / aligned) * aligned;
    const movedPadding = Math.max(0, aligned - BLOCK_HEADER);
    // A small block's end is a multiple of 256 only, so a place beyond it may be mistaken for one in it.
    const stayed = address === inPlace && !(this.#isSmall(address) && this.#contentAt(address) > cursor);
    const padding = stayed ? inPlace - cursor : address - this.#contentAt(address);
    expect(padding).toBeLessThanOrEqual(stayed ? aligned : movedPadding);
    const now = arenaWord(this.arena, "ARENA_CURSOR");
    // A run of its own is only for what is large; everything else moves the cursor.
    if (!stayed && now === cursor) expect(BLOCK_HEADER + movedPadding + rounded).toBeGreaterThan(OVERSIZE);
    else expect(now).toBe(address + rounded);
    return padding;
  }

  checkUsed(): void {
    const { used } = this.arena.stats();
    if (used !== this.used) expect(used).toBe(this.used);
    expect(used).toBeLessThanOrEqual(this.maximumBytes);
  }

  /** Where the content of the block begins whose first allocation is at `address`. */
  #contentAt(address: number): number {
    const page = Math.floor(address / PAGE) * PAGE;
    const block = this.#isSmall(address) ? address - ((address - page - SMALL_HEADER) % SMALL_BLOCK) : page;
    return block + BLOCK_HEADER;
  }

  #isSmall(address: number): boolean {
    return this.world.runtime.$memory.exports.ownerOf(address) === Owner.SMALL_BLOCKS;
  }

  #refused(error: unknown): void {
    this.world.refusals++;
    if (error instanceof LimitExceededError && this.maximumBytes !== Infinity) return;
    if (error instanceof OutOfMemoryError) return;
    throw error;
  }

  // ── copying ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Copies the graph at `root` into this arena and compares the copy with what the model says it must be. */
  copy(root: NodeItem): void {
    const reached = new Set<NodeItem>();
    const own = new Set<Item>(this.items);
    let stale = false;
    for (const pending = [root]; pending.length > 0; ) {
      const item = pending.pop()!;
      if (reached.has(item)) continue;
      reached.add(item);
      for (const target of [item.next, item.other]) {
        if (target === undefined) continue;
        stale ||= !target.live;
        if (!own.has(target)) pending.push(target);
      }
    }
    const before = this.arena.stats();
    let copied: NodeCursor;
    try {
      copied = root.cursor.copyTo(this.arena);
    } catch (error) {
      if (!(stale && error instanceof StaleReferenceError)) this.#refused(error);
      const { reserved: _r, blocks: _b, ...after } = this.arena.stats();
      expect(before).toMatchObject(after);
      return;
    }
    expect(stale).toBe(false);
    const copies = new Map<NodeItem, NodeItem>();
    const walk: [NodeItem, NodeCursor][] = [[root, copied]];
    for (let turn = walk.pop(); turn !== undefined; turn = walk.pop()) {
      const [source, cursor] = turn;
      if (copies.has(source)) continue;
      const item = nodeItem(cursor, source.id);
      copies.set(source, item);
      for (const name of ["next", "other"] as const) {
        const target = source[name];
        if (target !== undefined && !own.has(target)) walk.push([target, cursor[name] as NodeCursor]);
      }
    }
    expect(copies.size).toBe(reached.size);
    for (const [source, item] of copies) {
      for (const name of ["next", "other"] as const) {
        const target = source[name];
        item[name] = target === undefined || own.has(target) ? target : copies.get(target);
      }
      this.world.add(item);
      this.#top.items.push(item);
    }
    for (const item of copies.values()) item.check();
    for (const item of reached) item.check();
    this.#noteUsed(this.used + reached.size * Node.size);
    expect(this.arena.stats().used).toBe(this.used);
  }

  // ── ending ────────────────────────────────────────────────────────────────────────────────────────────────────────

  mark(): void {
    const before = this.arena.stats();
    try {
      const mark = this.arena.mark();
      this.#noteUsed(this.used + MARK_BYTES);
      this.frames.push({ mark, used: this.used, items: [], children: [] });
    } catch (error) {
      this.#refused(error);
      expect(this.arena.stats()).toEqual(before);
    }
  }

  /** Goes back to mark `level`, 1 being the outermost. */
  rewind(level: number): void {
    const frame = this.frames[level]!;
    this.arena.rewind(frame.mark!);
    for (const { mark } of this.frames.slice(level + 1)) this.world.deadMarks.push({ arena: this, mark: mark! });
    this.#endFramesFrom(level);
    this.frames.push({ ...frame, items: [], children: [] });
    this.used = frame.used;
  }

  rewindDead(mark: ArenaMark): void {
    const before = this.arena.stats();
    expect(() => this.arena.rewind(mark)).toThrow(StaleMarkError);
    expect(this.arena.stats()).toEqual(before);
  }

  reset(): void {
    for (const { mark } of this.frames.slice(1)) this.world.deadMarks.push({ arena: this, mark: mark! });
    expect(this.arena.reset()).toBe(this.used);
    this.#endFramesFrom(0);
    this.frames = [{ mark: undefined, used: 0, items: [], children: [] }];
    this.used = 0;
    this.resets++;
  }

  destroy(): void {
    this.arena.destroy();
    this.ended();
    const siblings = this.parent?.frames.find((frame) => frame.children.includes(this))?.children ?? this.world.roots;
    siblings.splice(siblings.indexOf(this), 1);
  }

  child(maximumBytes: number | undefined, sizeHint: number | undefined): void {
    try {
      const options = { ...(maximumBytes && { maximumBytes }), ...(sizeHint && { sizeHint }) };
      const arena = this.arena.arena(options);
      this.#top.children.push(new ArenaModel(this.world, arena, this, maximumBytes ?? Infinity));
    } catch (error) {
      this.#refused(error);
    }
  }

  #endFramesFrom(level: number): void {
    for (const frame of this.frames.splice(level)) {
      for (const item of frame.items) this.world.end(item);
      for (const child of frame.children) child.ended();
    }
  }

  /** Everything of it has ended, with its parent or by itself. */
  ended(): void {
    this.#endFramesFrom(0);
    expect(this.arena.destroyed).toBe(true);
  }

  get nodes(): NodeItem[] {
    return this.items.filter((item): item is NodeItem => "cursor" in item);
  }
}
