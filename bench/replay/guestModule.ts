import { readFile } from "node:fs/promises";
import type { Runtime } from "tidemark";
import type { GuestExports } from "./feedStructs.js";

/** Instantiates the benchmarks' own wasm (the feed decoder, the allocation loops) over a runtime's memory. */
export async function loadGuest(runtime: Runtime): Promise<GuestExports> {
  const bytes = await readFile(new URL("../../bench.wasm", import.meta.url));
  return runtime.instantiate<GuestExports>(new Uint8Array(bytes));
}
