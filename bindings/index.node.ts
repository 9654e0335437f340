import { readFile } from "node:fs/promises";
import { moduleNotFound, type RuntimeOptions, runtimeFactory } from "./createRuntime.js";
import { nodePlatform } from "./loop/platform.node.js";
import type { Runtime } from "./runtime.js";

export * from "./public.js";

/** The package's own modules, beside this one. Bundlers look for the whole expression, each with its file. */
async function load(debug: boolean): Promise<WebAssembly.Module> {
  let bytes: Buffer;
  try {
    bytes = await readFile(
      debug ? new URL("../tidemark.debug.wasm", import.meta.url) : new URL("../tidemark.wasm", import.meta.url),
    );
  } catch (cause) {
    throw moduleNotFound(cause);
  }
  return WebAssembly.compile(new Uint8Array(bytes));
}

/** As in index.ts, with the modules read from disk. */
export const createRuntime: (options?: RuntimeOptions) => Promise<Runtime> = /* @__PURE__ */ runtimeFactory(
  load,
  nodePlatform,
);
