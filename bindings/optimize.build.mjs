/**
 * Optimizes modules in place, behind their compiler: `node bindings/optimize.build.mjs FILE…`
 *
 * asc runs Binaryen's passes once. A second run finds what the first has laid bare: heaps that count references are 7 to 15 % faster,
 * AssemblyScript's incremental runtime 1 to 5 %, C's dlmalloc 6 % (modules by turns within one process). The allocators alone gain
 * nothing, so that the modules they are compared in are as asc leaves them, theirs and TLSF's.
 */

import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);

/** What the modules use of WebAssembly; they do not say it themselves. */
const FEATURES = ["mutable-globals", "sign-ext", "nontrapping-float-to-int", "bulk-memory", "simd"];

/** @param {string} file of a module whose debug names nobody needs */
export function optimize(file) {
  const features = FEATURES.map((name) => `--enable-${name}`);
  execFileSync(process.execPath, [require.resolve("binaryen/bin/wasm-opt"), ...features, "-O3", file, "-o", file]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.argv.slice(2).forEach(optimize);
