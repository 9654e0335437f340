// AssemblyScript's own TLSF, from its minimal runtime, doing what arenaRounds.ts does. A module with its own memory.

const RECORDS: u32 = 1024;

/** Makes and frees `rounds` times 1,024 linked records of 32 bytes, and returns the sum of what was stored in them. */
export function tlsfRounds(rounds: u32): f64 {
  let sum: f64 = 0;
  for (let round: u32 = 0; round < rounds; round++) {
    let previous: usize = 0;
    for (let record: u32 = 0; record < RECORDS; record++) {
      const address = heap.alloc(32);
      store<f64>(address, <f64>record);
      store<usize>(address, previous, 8);
      previous = address;
      sum += load<f64>(address);
    }
    while (previous) {
      const before = load<usize>(previous, 8);
      heap.free(previous);
      previous = before;
    }
  }
  return sum;
}
