// The drivers for AssemblyScript's own TLSF: a module with its own memory, since TLSF takes all of a memory.
//
// bench/peers/build.mjs compiles it beside a copy of AssemblyScript's source. What the host needs (tables, operations,
// samples) lies below the heap, where the command line leaves room for it.

import { Churn, churn } from "./drivers/churn";
import { checkReplay } from "./drivers/integrity";
import { Replay, release, replay, Sampler, Unwatched } from "./drivers/replay";
import { __alloc, __free, __realloc } from "./tlsfSource";

export { sampleNothing } from "./drivers/replay";

@unmanaged
export class Tlsf {
  @inline
  allocate(size: u32): usize {
    return __alloc(size);
  }

  @inline
  free(address: usize, _size: u32): u32 {
    __free(address);
    return 1;
  }

  @inline
  reallocate(address: usize, _oldSize: u32, newSize: u32): usize {
    return __realloc(address, newSize);
  }

  @inline
  taken(): u32 {
    return <u32>(((<usize>memory.size()) << 16) - __heap_base);
  }

  @inline
  reset(): void {}
}

/** Where what the host needs begins; it ends where the heap begins. */
export function scratchStart(): usize {
  return 1024;
}

/** All behind it is TLSF's. */
export function heapStart(): usize {
  return __heap_base;
}

/** TLSF keeps its state in a global; the strategy has none. */
export function tlsfCreate(place: usize): usize {
  return place;
}

export function tlsfChurn(tlsf: Tlsf, record: Churn): f64 {
  return churn<Tlsf>(tlsf, record);
}

export function tlsfCheckReplay(tlsf: Tlsf, record: Replay): u32 {
  return checkReplay<Tlsf>(tlsf, record);
}

export function tlsfReplay(tlsf: Tlsf, record: Replay, unwatched: Unwatched): f64 {
  return replay<Tlsf, Unwatched>(tlsf, record, unwatched);
}

export function tlsfSampleReplay(tlsf: Tlsf, record: Replay, sampler: Sampler): f64 {
  sampler.start(record);
  return replay<Tlsf, Sampler>(tlsf, record, sampler);
}

export function tlsfRelease(tlsf: Tlsf, record: Replay): u32 {
  return release<Tlsf>(tlsf, record);
}
