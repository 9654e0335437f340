import {
  LimitExceededError,
  OutOfMemoryError,
  type Pool,
  type PoolStats,
  type Ref,
  StaleReferenceError,
} from "tidemark";
import { expect } from "vitest";
import type { ModelCursor, ModelFields, Shape } from "./poolShapes.js";
import type { PoolWorld } from "./poolWorld.js";

/** One record, as the model knows it. */
export interface ModelRecord {
  readonly pool: PoolModel;
  readonly ref: Ref<ModelFields>;
  /** The number that its value shows, and that the rest of it is filled with. */
  readonly stamp: number;
  next: ModelRecord | undefined;
  live: boolean;
  /** Where it stands in the pool's list. */
  index: number;
}

/** What lies before the bytes that the model fills: the value, and the ref if there is one. */
const headBytes = (shape: Shape) => (shape.hasNext ? 20 : 8);
const byteOf = (stamp: number) => (stamp % 255) + 1;

/** One pool and what should be true of it. */
export class PoolModel {
  readonly live: ModelRecord[] = [];
  /** Moved over records, and given to `new`. */
  readonly #cursor: ModelCursor;

  constructor(
    readonly world: PoolWorld,
    readonly pool: Pool<ModelFields>,
    readonly shape: Shape,
    /** The fixed capacity; Infinity without one. */
    readonly capacity: number,
  ) {
    this.#cursor = pool.cursor();
  }

  // ── making and freeing ──────────────────────────────────────────────────────────────────────────────────────────

  /** Makes a record, through a cursor or a fresh ref. False if there was no room, and rightly so. */
  make(byCursor: boolean): boolean {
    const { pool, world } = this;
    world.operations++;
    let ref: Ref<ModelFields>;
    try {
      ref = byCursor ? pool.new(this.#cursor).ref() : pool.new();
    } catch (error) {
      this.#refused(error);
      return false;
    }
    expect(this.live.length).toBeLessThan(this.capacity);
    const record: ModelRecord = {
      pool: this,
      ref,
      stamp: ++world.stamp,
      next: undefined,
      live: true,
      index: this.live.length,
    };
    world.add(record);
    this.live.push(record);
    this.#fill(record);
    return true;
  }

  #refused(error: unknown): void {
    this.world.refusals++;
    if (this.live.length >= this.capacity) {
      expect(error).toBeInstanceOf(LimitExceededError);
      expect((error as Error).message).toContain(`all ${this.capacity} cells`);
    } else if (!(error instanceof OutOfMemoryError) || this.capacity !== Infinity) throw error;
    expect(this.pool.count).toBe(this.live.length);
  }

  /** Sees that a new record is zero, and makes it one of its own. */
  #fill({ ref, stamp }: ModelRecord): void {
    const { u8, u32 } = this.world.memory;
    const { $address: address } = ref;
    const { size, $rounded: rounded } = this.shape.type;
    for (let word = address >>> 2; word < (address + rounded) >>> 2; word++) {
      if (u32[word] !== 0) expect.fail(`the new record at ${address} has ${u32[word]} at ${word * 4}`);
    }
    u8.fill(byteOf(stamp), address + headBytes(this.shape), address + size);
    this.#cursor.moveTo(ref).value = stamp;
  }

  free(record: ModelRecord, byCursor: boolean): void {
    this.world.operations++;
    this.pool.free(byCursor ? this.#cursor.moveTo(record.ref) : record.ref);
    this.end(record);
  }

  /** Notes that a record has ended. */
  end(record: ModelRecord): void {
    const { live } = this;
    const last = live.pop()!;
    if (last !== record) {
      live[record.index] = last;
      last.index = record.index;
    }
    this.world.end(record);
  }

  #endAll(): void {
    for (const record of this.live.splice(0)) this.world.end(record);
  }

  clear(): void {
    this.pool.clear();
    this.#endAll();
  }

  destroy(): void {
    this.pool.destroy();
    this.#endAll();
  }

  // ── links ───────────────────────────────────────────────────────────────────────────────────────────────────────

  link(from: ModelRecord, to: ModelRecord): void {
    if (!this.shape.hasNext) return;
    from.next = to;
    this.#cursor.moveTo(from.ref).next = to.ref as never;
  }

  /** Follows refs from `start` until there is none, one has ended, or 20 have been followed. */
  follow(start: ModelRecord): void {
    if (!this.shape.hasNext) return;
    const walker = this.#cursor.moveTo(start.ref);
    let record = start;
    for (let step = 0; step < 20; step++) {
      this.world.operations++;
      const { next } = record;
      if (next !== undefined && !next.live) {
        expect(() => walker.follow("next")).toThrow(StaleReferenceError);
        expect(walker.$address).toBe(record.ref.$address);
        return;
      }
      const hasMoved = walker.follow("next");
      if (hasMoved !== (next !== undefined)) expect(hasMoved).toBe(next !== undefined);
      if (next === undefined) return;
      record = next;
      if (walker.value !== record.stamp) expect(walker.value).toBe(record.stamp);
    }
  }

  // ── iterating ───────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Goes through all records and frees and makes some meanwhile, as the bits of `pick` say. All that are live throughout are
   * shown once, in the order of addresses; of the others each at most once, and none that has ended.
   */
  iterate(pick: number): void {
    const due = new Map(this.live.map((record) => [record.ref.$address, record]));
    const shown = new Set<number>();
    let previous = 0;
    let step = 0;
    for (const cursor of this.pool) {
      const { $address: address } = cursor;
      expect(address).toBeGreaterThan(previous);
      previous = address;
      shown.add(address);
      const record = this.world.liveAt(address);
      if (record === undefined || cursor.value !== record.stamp) expect([address, record?.stamp]).toEqual(cursor.value);
      step++;
      if (step % 7 === pick % 7) this.free(record!, pick % 2 === 0);
      else if (step % 11 === pick % 11 && this.live.length > 0) this.free(this.live[pick % this.live.length]!, true);
      else if (step % 13 === pick % 13 && this.live.length < this.shape.most) this.make(pick % 2 === 1);
      if (step % 17 === 3) cursor.moveTo(null); // the iteration does not depend on where its cursor is
      if (step > 2000) return;
    }
    for (const [address, record] of due)
      if (record.live && !shown.has(address)) expect.fail(`${address} was not shown`);
  }

  // ── checking ────────────────────────────────────────────────────────────────────────────────────────────────────

  check(record: ModelRecord): void {
    const { u8 } = this.world.memory;
    const { ref, stamp, next } = record;
    const cursor = this.#cursor.moveTo(ref);
    if (cursor.value !== stamp) expect([ref.$address, cursor.value]).toEqual([ref.$address, stamp]);
    const { size } = this.shape.type;
    for (const offset of [headBytes(this.shape), size >>> 1, size - 1]) {
      if (offset < headBytes(this.shape) || offset >= size) continue;
      const found = u8[ref.$address + offset];
      if (found !== byteOf(stamp)) expect([ref.$address, offset, found]).toEqual([ref.$address, offset, byteOf(stamp)]);
    }
    if (!this.shape.hasNext) return;
    const found = cursor.next as ModelCursor | null;
    if ((found?.$address ?? 0) !== (next?.ref.$address ?? 0)) expect(found?.$address).toBe(next?.ref.$address);
    if (next !== undefined && found!.isLive() !== next.live) expect(found!.isLive()).toBe(next.live);
  }

  checkStats(): void {
    const { pool, live } = this;
    const stats: PoolStats = pool.stats();
    const { capacity, slabs } = stats;
    expect(stats).toEqual({
      count: live.length,
      capacity: pool.capacity,
      fixed: this.capacity !== Infinity,
      retired: 0,
      reservedBytes: this.reservedBytes,
      slabs,
    });
    expect(pool.count).toBe(live.length);
    if (this.capacity !== Infinity) expect(capacity).toBe(this.capacity);
    else expect(capacity).toBeGreaterThanOrEqual(live.length);
  }

  /** As the page heap's own figure says, where this is the only pool; otherwise as the pool says. */
  get reservedBytes(): number {
    const owned = this.world.runtime.stats().bytesByOwner.pools;
    const reserved = this.pool.stats().reservedBytes;
    if (this.world.pools.length === 1) expect(reserved).toBe(owned);
    expect(reserved).toBeLessThanOrEqual(owned);
    return reserved;
  }
}
