import { readFile } from "node:fs/promises";
import { nodePlatform } from "./loop/platform.node.js";
import { type Runtime, type RuntimeOptions, runtimeFactory } from "./runtime.js";

export * from "./public.js";

/** The package's own modules, beside this one. */
async function load(debug: boolean): Promise<WebAssembly.Module> {
  const bytes = await readFile(new URL(debug ? "../tidemark.debug.wasm" : "../tidemark.wasm", import.meta.url));
  return WebAssembly.compile(new Uint8Array(bytes));
}

/** As in index.ts, with the modules read from disk. */
export const createRuntime: (options?: RuntimeOptions) => Promise<Runtime> = /* @__PURE__ */ runtimeFactory(
  load,
  nodePlatform,
);
