// The arena's side of the in-wasm comparison; the peer's is tlsfRounds.ts, with the same work.

import { Arena, resetArena } from "../../assembly/allocators/arena";
import { Address } from "../../assembly/memory/alignment";

/** Records that live at once; a round makes and writes them all, and ends them together. */
const RECORDS: u32 = 1024;

/** Makes and ends `rounds` times 1,024 linked records of 32 bytes, and returns the sum of what was stored in them. */
export function arenaRounds(arena: Arena, rounds: u32): f64 {
  let sum: f64 = 0;
  for (let round: u32 = 0; round < rounds; round++) {
    let previous: Address = 0;
    for (let record: u32 = 0; record < RECORDS; record++) {
      const address = arena.allocate(32);
      store<f64>(address, <f64>record);
      store<Address>(address, previous, 8);
      previous = address;
      sum += load<f64>(address);
    }
    resetArena(arena);
  }
  return sum;
}
