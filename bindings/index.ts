export * from "./public.js";

import { moduleNotFound, type RuntimeOptions, runtimeFactory } from "./createRuntime.js";
import { webPlatform } from "./loop/platform.web.js";
import type { Runtime } from "./runtime.js";

/** The package's own modules, beside this one; bundlers that follow `new URL(…, import.meta.url)` copy them. */
async function load(debug: boolean): Promise<WebAssembly.Module> {
  let bytes: ArrayBuffer;
  try {
    const url = debug
      ? new URL("../tidemark.debug.wasm", import.meta.url)
      : new URL("../tidemark.wasm", import.meta.url);
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url} could not be fetched: ${response.status}`);
    bytes = await response.arrayBuffer();
  } catch (cause) {
    throw moduleNotFound(cause);
  }
  return WebAssembly.compile(bytes);
}

/**
 * Makes a runtime: a linear memory with the module instantiated over it.
 *
 * @throws {InvalidArgumentError} for options out of range, a `wasm` that is no module, or a memory that is too large or in use
 * @throws {OutOfMemoryError} if the engine refuses the memory
 * @throws {InvalidModuleError} if the module cannot be found or compiled, is of another version, or not the one that `debug` asks for,
 *   or the memory has no maximum
 *
 * @example
 * const runtime = await createRuntime({ maximumBytes: 512 << 20 });
 */
export const createRuntime: (options?: RuntimeOptions) => Promise<Runtime> = /* @__PURE__ */ runtimeFactory(
  load,
  webPlatform,
);
