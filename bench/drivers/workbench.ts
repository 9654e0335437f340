/** Allocators in wasm, each beside the drivers that put it to work; see bench/assembly/drivers/. */

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** The strategies: Tidemark's own and what stands beside them over its memory, and the peers with a memory of their own. */
const ALLOCATORS = ["heap", "arena", "pool", "cells", "bump", "intrusiveList"] as const;
const COLLECTORS = ["markSweep", "markSweepStop", "refcount"] as const;
const PEERS = ["tlsf", "dlmalloc", "incremental", "minimal"] as const;

export type StrategyName = (typeof ALLOCATORS)[number] | CollectorName | "manual" | PeerName;
/** Those that collect; they run the programs of bench/assembly/programs/, as `manual`, `incremental` and `minimal` do. */
export type CollectorName = (typeof COLLECTORS)[number];
type PeerName = (typeof PEERS)[number];

/** The most a memory can hold: 65,535 pages. */
export const MEMORY_LIMIT_BYTES = 65_535 * 65_536;

/** How the heaps of collectors are set up; other strategies have nothing to do with it. */
export interface HeapTuning {
  /** Allocation that starts a cycle at the earliest. */
  readonly minimumBytes: number;
  /** The units of a step. */
  readonly stepUnits: number;
}

/** As heaps are when nobody says otherwise. */
const DEFAULT_TUNING: HeapTuning = { minimumBytes: 1 << 20, stepUnits: 2000 };
const REFCOUNT_TUNING: HeapTuning = { minimumBytes: 1 << 18, stepUnits: 2000 };

/** A strategy's own state takes at most as much. */
const PLACE_BYTES = 256;

const WORD_BYTES = 4;

/** More than what an arena has in front of what it is asked for. */
const BLOCK_HEADER_BYTES = 64;

const buildFile = (name: string) => new URL(`../../${name}`, import.meta.url);
const peerFiles: Readonly<Record<PeerName, URL>> = {
  tlsf: buildFile("tlsfDrivers.wasm"),
  dlmalloc: buildFile("dlmalloc.wasm"),
  incremental: buildFile("incremental.wasm"),
  minimal: buildFile("minimal.wasm"),
};

/** What a peer's functions are called by: those of AssemblyScript's two runtimes are compiled from one source. */
const peerPrefixes: Readonly<Record<PeerName, string>> = {
  tlsf: "tlsf",
  dlmalloc: "dlmalloc",
  incremental: "managed",
  minimal: "managed",
};

/** Why a strategy cannot be had on this machine, or `undefined` if it can. */
export function absenceOf(name: StrategyName): string | undefined {
  if (name !== "dlmalloc" || existsSync(fileURLToPath(peerFiles.dlmalloc))) return undefined;
  return "it is compiled from C, and the build found no clang with wasi-libc (Debian: clang lld wasi-libc libclang-rt-dev-wasm32)";
}

/** The host's clock for the drivers that take samples. */
const imports = { clock: { now: () => performance.now() } };

type Drivers = Readonly<Record<string, (...parameters: number[]) => number>>;

/** A strategy made ready: its memory, its drivers, and room that the allocator does not know of. */
export class Workbench {
  readonly #drivers: Drivers;
  readonly #strategy: number;
  /** What the allocator's memory may still grow by; with the little that is there already, the most that it can take. */
  readonly limitBytes: number;

  /**
   * @param tuning of a collected heap
   * @param reserve finds bytes, zeros, that the strategy's allocator neither uses nor counts
   * @param fill reserves what is free of the memory; gives the address behind which all is the allocator's from then on
   * @throws {Error} if the strategy cannot be made
   */
  constructor(
    readonly name: string,
    readonly memory: WebAssembly.Memory,
    drivers: object,
    private readonly reserve: (bytes: number) => number,
    readonly dispose: () => void,
    private readonly fill: () => number = () => memory.buffer.byteLength,
    tuning: HeapTuning = DEFAULT_TUNING,
  ) {
    this.#drivers = drivers as Drivers;
    this.limitBytes = MEMORY_LIMIT_BYTES - memory.buffer.byteLength;
    const place = this.place(PLACE_BYTES / WORD_BYTES);
    if (isCollector(name)) this.words(place, 2).set([tuning.minimumBytes, tuning.stepUnits]);
    this.#strategy = this.#drivers[`${name}Create`]!(place) >>> 0;
    if (this.#strategy === 0) throw new Error(`the strategy ${name} could not be made: memory is out`);
  }

  /**
   * Leaves the allocator no free memory, so that all it takes from here on has to be grown by. (The rest of the page in which
   * a peer's heap begins cannot be taken from it, and counts as growth.)
   *
   * @returns a function that tells what the memory has grown by since, in bytes. It never shrinks: this is the most there was.
   */
  watchGrowth(): () => number {
    const begin = this.fill();
    return () => this.memory.buffer.byteLength - begin;
  }

  /** Whether the driver is there for this strategy. */
  has(driver: string): boolean {
    return Object.hasOwn(this.#drivers, this.name + driver);
  }

  /** Runs a driver over the record at `record`, with what it needs beside. */
  run(driver: string, record: number, ...more: number[]): number {
    return this.#drivers[this.name + driver]!(this.#strategy, record, ...more);
  }

  /** Calls a function that is about no strategy. */
  call(name: string, ...parameters: number[]): number {
    return this.#drivers[name]!(...parameters);
  }

  /** The address of `count` words, zeros, and of more where they are given as content. */
  place(count: number, content?: Uint32Array): number {
    const address = this.reserve(Math.max(count, 2) * WORD_BYTES);
    if (content !== undefined) this.words(address, count).set(content);
    return address;
  }

  /** A view of `count` words. Not to be kept: the next growth detaches it. */
  words(address: number, count: number): Uint32Array {
    return new Uint32Array(this.memory.buffer, address, count);
  }

  /** As {@link words}, for floats of 64 bits. */
  floats(address: number, count: number): Float64Array {
    return new Float64Array(this.memory.buffer, address, count);
  }
}

/**
 * Makes a strategy ready, in a memory of its own.
 *
 * @param tuning of a collected heap
 * @param debug take Tidemark's debug module, where the strategy is one over Tidemark's memory
 * @throws {Error} if it is absent, see {@link absenceOf}
 */
export async function createWorkbench(
  name: StrategyName,
  debug = false,
  tuning: HeapTuning = name === "refcount" ? REFCOUNT_TUNING : DEFAULT_TUNING,
): Promise<Workbench> {
  const absence = absenceOf(name);
  if (absence !== undefined) throw new Error(`${name}: ${absence}`);
  return isPeer(name) ? createPeer(name) : createOverTidemark(name, debug, tuning);
}

export function isPeer(name: StrategyName): name is PeerName {
  return (PEERS as readonly string[]).includes(name);
}

function isCollector(name: string): name is CollectorName {
  return (COLLECTORS as readonly string[]).includes(name);
}

async function createPeer(name: PeerName): Promise<Workbench> {
  const { instance } = await WebAssembly.instantiate(await readFile(peerFiles[name]), imports);
  const { memory, scratchStart, heapStart } = instance.exports as {
    memory: WebAssembly.Memory;
    scratchStart(): number;
    heapStart?(): number; // of the allocators alone: the managed runtimes have no churn to go through
  };
  let next = scratchStart();
  const reserve = (bytes: number) => {
    const address = next;
    next = (next + bytes + 15) & ~15;
    return address;
  };
  return new Workbench(peerPrefixes[name], memory, instance.exports, reserve, () => {}, heapStart);
}

async function createOverTidemark(name: StrategyName, debug: boolean, tuning: HeapTuning): Promise<Workbench> {
  const { createRuntime } = await import("tidemark");
  const runtime = await createRuntime({ maximumBytes: MEMORY_LIMIT_BYTES, debug });
  const module = name === "manual" || isCollector(name) ? "collectors" : "strategies";
  const bytes = await readFile(buildFile(debug ? `${module}.debug.wasm` : `${module}.wasm`));
  const drivers = await runtime.instantiate(new Uint8Array(bytes), imports);
  const scratch = runtime.arena();
  const reserve = (size: number) => scratch.allocate(size);
  const fill = () => {
    const { freeBytes } = runtime.stats();
    if (freeBytes > 0) reserve(freeBytes - BLOCK_HEADER_BYTES);
    return runtime.memory.buffer.byteLength - runtime.stats().freeBytes;
  };
  return new Workbench(name, runtime.memory, drivers, reserve, () => runtime.dispose(), fill, tuning);
}
