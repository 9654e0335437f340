import {
  type Arena,
  type ByteHeap,
  LimitExceededError,
  OutOfMemoryError,
  type Runtime,
  StaleReferenceError,
} from "tidemark";
import { expect } from "vitest";
import { type ModelRecord, PoolModel } from "./poolModel.js";
import { type Shape, shapes } from "./poolShapes.js";
import { PAGE } from "./runtimes.js";

/** So many ended records are remembered, of which some are looked at after each operation. */
const REMEMBERED = 3000;
const POOLS = 4;

/** All the pools of one run, and what else takes and gives back pages between them. */
export class PoolWorld {
  readonly pools: PoolModel[] = [];
  readonly ended: ModelRecord[] = [];
  readonly #live = new Map<number, ModelRecord>();
  readonly #arena: Arena;
  readonly #heap: ByteHeap;
  readonly #blocks: number[] = [];
  /** Every guard and generation that a record was ever known by, in thorough runs. */
  readonly #seen = new Set<string>();
  stamp = 0;
  operations = 0;
  refusals = 0;

  constructor(
    readonly runtime: Runtime,
    /** Look at everything after each step. */
    readonly thorough: boolean,
  ) {
    this.#arena = runtime.arena();
    this.#heap = runtime.byteHeap();
  }

  get memory() {
    return this.runtime.$memory;
  }

  /** Makes a pool: of which struct, growing, fixed, or with a capacity beyond which it grows, is what `pick` says. */
  create(pick: number): void {
    if (this.pools.length >= POOLS) return;
    const shape = shapes[pick % shapes.length] as Shape;
    const kind = Math.floor(pick / shapes.length) % 3;
    const capacity = 1 + (pick % Math.floor(shape.most / 2));
    const options = [{}, { capacity }, { capacity, grow: true }][kind]!;
    try {
      const pool = this.runtime.pool(shape.type, options);
      this.pools.push(new PoolModel(this, pool, shape, kind === 1 ? capacity : Infinity));
    } catch (error) {
      this.refusals++;
      if (!(error instanceof OutOfMemoryError)) throw error;
    }
  }

  add(record: ModelRecord): void {
    const { ref, pool } = record;
    const address = ref.$address;
    if (address % 8 !== 0 || this.#live.has(address)) expect.fail(`the record at ${address} was handed out already`);
    this.#live.set(address, record);
    if (!this.thorough) return;
    const known = `${ref.$guard}:${ref.$generation}`;
    expect(this.#seen.has(known)).toBe(false);
    this.#seen.add(known);
    const size = pool.shape.type.$rounded;
    for (const [start, other] of this.#live) {
      if (other !== record && start < address + size && address < start + other.pool.shape.type.$rounded) {
        expect.fail(`${address}+${size} overlaps ${start}`);
      }
    }
  }

  end(record: ModelRecord): void {
    record.live = false;
    this.#live.delete(record.ref.$address);
    if (this.ended.length < REMEMBERED) this.ended.push(record);
    else this.ended[(record.stamp * 7919) % REMEMBERED] = record;
  }

  liveAt(address: number): ModelRecord | undefined {
    return this.#live.get(address);
  }

  /** Has others take free pages, and what is left over gives them back: pages go from pool to arena to heap to pool. */
  disturb(pick: number): void {
    const bytes = (1 + (pick % 12)) * PAGE - 200;
    try {
      if (pick % 3 === 0) this.#arena.bytes(bytes).view().fill(0xa5);
      else if (pick % 3 === 1) {
        const address = this.#heap.allocate(bytes);
        this.#blocks.push(address);
        this.memory.u8.fill(0x5b, address, address + bytes);
      } else this.#giveBack();
    } catch (error) {
      if (!(error instanceof OutOfMemoryError || error instanceof LimitExceededError)) throw error;
      this.#giveBack();
    }
  }

  #giveBack(): void {
    this.#arena.reset();
    for (const address of this.#blocks.splice(0)) this.#heap.free(address);
    this.#heap.trim();
  }

  /** Every use of a record that has ended is refused, with the numbers that say why, and changes nothing. */
  checkStale(record: ModelRecord, uses: "all" | "one"): void {
    this.operations++;
    const { ref, pool } = record;
    const { u32 } = this.memory;
    const [address, guard, made] = [ref.$address, ref.$guard, ref.$generation >>> 0];
    const found = u32[guard]!;
    if (ref.isLive() || found <= made) expect([address, found]).toEqual([address, `more than ${made}`]);
    if (uses === "one") return;
    const message =
      `the record at ${address} has ended: its guard at ${guard * 4} shows generation ${found}, ` +
      `the reference was made in generation ${made}`;
    const cursor = ref.$struct.$newCursor(this.memory);
    const { $address: unmoved } = cursor;
    expect(() => cursor.moveTo(ref)).toThrow(new StaleReferenceError(message));
    expect(cursor.$address).toBe(unmoved);
    for (const each of this.pools) {
      const { count } = each.pool;
      expect(each.pool.contains(ref)).toBe(false);
      if (each.shape === pool.shape) expect(() => each.pool.free(ref)).toThrow(new StaleReferenceError(message));
      expect(each.pool.count).toBe(count);
    }
    expect(u32[guard]).toBe(found);
  }

  /** A few records, and in a thorough run all. */
  check(pick: number): void {
    if (this.thorough) {
      this.checkAll();
      return;
    }
    for (const model of this.pools) {
      const { live } = model;
      for (let index = 0; index < 3 && live.length > 0; index++) model.check(live[(pick * 31 + index) % live.length]!);
    }
    for (let index = 0; index < 3 && this.ended.length > 0; index++) {
      this.checkStale(this.ended[(pick * 17 + index) % this.ended.length]!, index === 0 ? "all" : "one");
    }
  }

  checkAll(): void {
    for (const model of this.pools) {
      for (const record of model.live) model.check(record);
      model.checkStats();
      for (const other of this.pools) {
        const record = model.live[0];
        if (record !== undefined) expect(other.pool.contains(record.ref)).toBe(other === model);
      }
    }
    for (const record of this.ended.slice(-20)) this.checkStale(record, "one");
    for (const record of this.ended.slice(-5)) this.checkStale(record, "all");
    for (const { pool } of this.pools) pool.validate();
    this.runtime.validate();
  }
}
