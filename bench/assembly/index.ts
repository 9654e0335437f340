// The benchmarks' guest module: the feed decoder, and the allocation loops that are timed inside wasm.

export { decodeMessage } from "./decoder";
export { arenaRounds } from "./arenaRounds";
export { toFloat } from "./decimal";
