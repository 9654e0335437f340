// The benchmarks' guest module: the feed decoder, and the allocation loops that are timed inside wasm.

export { arenaRounds } from "./arenaRounds";
export { decodeMessage } from "./decoder";
