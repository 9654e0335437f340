// The programs for each strategy over Tidemark's own memory: a guest module. `<strategy>Create` takes a place for the
// strategy's own state, 256 bytes of zeros but for how a heap is to be set up, and returns the strategy, or 0 with a status;
// `<strategy>Run` takes it as returned.

import { MarkSweepHeap, RefcountHeap } from "../../assembly/collectors/strategies";
import { Address } from "../../assembly/memory/alignment";
import { runProgram } from "./programs/run";
import { Collected, createMarkSweep, createRefcount, HeapTuning } from "./strategies/collected";
import { createManualHeap, ManualHeap } from "./strategies/manualHeap";

// ── mark-sweep, in steps and a whole cycle at a time ────────────────────────────────────────────────────────────────

export function markSweepCreate(tuning: HeapTuning): Address {
  return createMarkSweep(false, tuning);
}

export function markSweepRun(heap: Collected<MarkSweepHeap>, record: Address, program: u32): f64 {
  return runProgram<Collected<MarkSweepHeap>>(heap, record, program);
}

export function markSweepStopCreate(tuning: HeapTuning): Address {
  return createMarkSweep(true, tuning);
}

export function markSweepStopRun(heap: Collected<MarkSweepHeap>, record: Address, program: u32): f64 {
  return runProgram<Collected<MarkSweepHeap>>(heap, record, program);
}

// ── reference counting ──────────────────────────────────────────────────────────────────────────────────────────────

export function refcountCreate(tuning: HeapTuning): Address {
  return createRefcount(tuning);
}

export function refcountRun(heap: Collected<RefcountHeap>, record: Address, program: u32): f64 {
  return runProgram<Collected<RefcountHeap>>(heap, record, program);
}

// ── manual ──────────────────────────────────────────────────────────────────────────────────────────────────────────

export function manualCreate(place: Address): Address {
  return createManualHeap(place);
}

export function manualRun(heap: ManualHeap, record: Address, program: u32): f64 {
  return runProgram<ManualHeap>(heap, record, program);
}
