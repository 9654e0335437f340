// The drivers for each strategy over Tidemark's own memory: a guest module. `<strategy>Create` takes a place for the
// strategy's own state, 256 bytes of zeros, and returns it, or 0 with a status; the other functions take it as returned.

import { Address } from "../../assembly/memory/alignment";
import { Churn, churn } from "./drivers/churn";
import { checkReplay } from "./drivers/integrity";
import { Replace, replace } from "./drivers/replace";
import { Replay, release, replay, Sampler, Unwatched } from "./drivers/replay";
import { ArenaStrategy, createArenaStrategy } from "./strategies/arena";
import { Bump, createBump } from "./strategies/bump";
import { ByteHeapStrategy, createByteHeapStrategy } from "./strategies/byteHeap";
import { createIntrusiveList, IntrusiveList } from "./strategies/intrusiveList";
import { createPoolStrategy, PoolStrategy } from "./strategies/pool";
import { createSizedPools, SizedPools } from "./strategies/sizedPools";

export { sampleNothing } from "./drivers/replay";

/** The run of pages that the bump strategy has: enough for what any case makes between two resets. */
const BUMP_PAGES: u32 = 4096;

// ── bump ────────────────────────────────────────────────────────────────────────────────────────────────────────────

export function bumpCreate(place: Address): Address {
  return createBump(place, BUMP_PAGES);
}

export function bumpChurn(bump: Bump, record: Churn): f64 {
  return churn<Bump>(bump, record);
}

// ── byte heap ────────────────────────────────────────────────────────────────────────────────────────────────────────

export function heapCreate(place: Address): Address {
  return createByteHeapStrategy(place);
}

export function heapChurn(heap: ByteHeapStrategy, record: Churn): f64 {
  return churn<ByteHeapStrategy>(heap, record);
}

export function heapCheckReplay(heap: ByteHeapStrategy, record: Replay): u32 {
  return checkReplay<ByteHeapStrategy>(heap, record);
}

export function heapReplay(heap: ByteHeapStrategy, record: Replay, unwatched: Unwatched): f64 {
  return replay<ByteHeapStrategy, Unwatched>(heap, record, unwatched);
}

export function heapSampleReplay(heap: ByteHeapStrategy, record: Replay, sampler: Sampler): f64 {
  sampler.start(record);
  return replay<ByteHeapStrategy, Sampler>(heap, record, sampler);
}

export function heapRelease(heap: ByteHeapStrategy, record: Replay): u32 {
  return release<ByteHeapStrategy>(heap, record);
}

// ── arena ───────────────────────────────────────────────────────────────────────────────────────────────────────────

export function arenaCreate(place: Address): Address {
  return createArenaStrategy(place);
}

export function arenaChurn(arena: ArenaStrategy, record: Churn): f64 {
  return churn<ArenaStrategy>(arena, record);
}

export function arenaCheckReplay(arena: ArenaStrategy, record: Replay): u32 {
  return checkReplay<ArenaStrategy>(arena, record);
}

export function arenaReplay(arena: ArenaStrategy, record: Replay, unwatched: Unwatched): f64 {
  return replay<ArenaStrategy, Unwatched>(arena, record, unwatched);
}

export function arenaSampleReplay(arena: ArenaStrategy, record: Replay, sampler: Sampler): f64 {
  sampler.start(record);
  return replay<ArenaStrategy, Sampler>(arena, record, sampler);
}

export function arenaRelease(arena: ArenaStrategy, record: Replay): u32 {
  return release<ArenaStrategy>(arena, record);
}

// ── pools of forty sizes ─────────────────────────────────────────────────────────────────────────────────────────────

export function poolCreate(place: Address): Address {
  return createSizedPools(place);
}

export function poolChurn(pools: SizedPools, record: Churn): f64 {
  return churn<SizedPools>(pools, record);
}

export function poolCheckReplay(pools: SizedPools, record: Replay): u32 {
  return checkReplay<SizedPools>(pools, record);
}

export function poolReplay(pools: SizedPools, record: Replay, unwatched: Unwatched): f64 {
  return replay<SizedPools, Unwatched>(pools, record, unwatched);
}

export function poolSampleReplay(pools: SizedPools, record: Replay, sampler: Sampler): f64 {
  sampler.start(record);
  return replay<SizedPools, Sampler>(pools, record, sampler);
}

export function poolRelease(pools: SizedPools, record: Replay): u32 {
  return release<SizedPools>(pools, record);
}

// ── pool of cells ────────────────────────────────────────────────────────────────────────────────────────────────────

export function cellsCreate(place: Address): Address {
  return createPoolStrategy(place);
}

export function cellsReplace(cells: PoolStrategy, record: Replace): f64 {
  return replace<PoolStrategy>(cells, record);
}

// ── intrusive list ──────────────────────────────────────────────────────────────────────────────────────────────────

export function intrusiveListCreate(place: Address): Address {
  return createIntrusiveList(place);
}

export function intrusiveListReplace(list: IntrusiveList, record: Replace): f64 {
  return replace<IntrusiveList>(list, record);
}
