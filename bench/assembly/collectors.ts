// The programs for each strategy over Tidemark's own memory: a guest module. `<strategy>Create` takes a place for the
// strategy's own state, 256 bytes of zeros, and returns it, or 0 with a status; `<strategy>Run` takes it as returned.

import { Address } from "../../assembly/memory/alignment";
import { runProgram } from "./programs/run";
import { createManualHeap, ManualHeap } from "./strategies/manualHeap";

export function manualCreate(place: Address): Address {
  return createManualHeap(place);
}

export function manualRun(heap: ManualHeap, record: Address, program: u32): f64 {
  return runProgram<ManualHeap>(heap, record, program);
}
