import { readFile } from "node:fs/promises";
import { type Runtime, type RuntimeOptions, runtimeFactory } from "./runtime.js";

export * from "./public.js";

const compiled = new Map<boolean, Promise<WebAssembly.Module>>();

/** The package's own modules, each read and compiled once a process. */
function load(debug: boolean): Promise<WebAssembly.Module> {
  let module = compiled.get(debug);
  if (module === undefined) {
    const url = new URL(debug ? "../tidemark.debug.wasm" : "../tidemark.wasm", import.meta.url);
    module = readFile(url).then((bytes) => WebAssembly.compile(new Uint8Array(bytes)));
    compiled.set(debug, module);
    module.catch(() => compiled.delete(debug)); // what failed once (too many open files, say) may succeed next time
  }
  return module;
}

/** As in index.ts, with the modules read from disk. */
export const createRuntime: (options?: RuntimeOptions) => Promise<Runtime> = /* @__PURE__ */ runtimeFactory(load);
