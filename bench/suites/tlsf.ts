import { readFile } from "node:fs/promises";
import { instantiate } from "@assemblyscript/loader";

/** What bench/assembly/tlsfRounds.ts exports. */
interface TlsfExports {
  tlsfRounds(rounds: number): number;
}

/** AssemblyScript's own allocator, compiled by the same compiler with the same flags, in a module of its own. */
export async function loadTlsf(): Promise<TlsfExports> {
  const bytes = await readFile(new URL("../../tlsf.wasm", import.meta.url));
  const { instance } = await instantiate(new Uint8Array(bytes));
  return instance.exports as unknown as TlsfExports;
}
