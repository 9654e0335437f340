import { type RuntimeOptions, runtimeFactory } from "./createRuntime.js";
import * as modules from "./inlineModules.js";
import type { Runtime } from "./runtime.js";

export * from "./public.js";

/** The package's own modules, which lie in the program text: nothing is fetched, and no bundler has to copy a file. */
function load(debug: boolean): Promise<WebAssembly.Module> {
  const text = atob(debug ? modules.debug : modules.release);
  return WebAssembly.compile(Uint8Array.from(text, (character) => character.charCodeAt(0)));
}

/** As in index.ts, with the modules embedded. A watchdog has no worker here, since that would be another file. */
export const createRuntime: (options?: RuntimeOptions) => Promise<Runtime> = /* @__PURE__ */ runtimeFactory(load);
