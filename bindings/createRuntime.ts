import {
  assertFunction,
  assertOptions,
  checkFlag,
  checkInteger,
  describe,
  messageOf,
  type NamesOf,
} from "./arguments.js";
import { InvalidArgumentError, InvalidModuleError, OutOfMemoryError } from "./errors.js";
import { AllocationSites, callerStack, type Leak, warnOfLeak } from "./memory/allocationSites.js";
import { compile, instantiateOver, isDebugModule, type WasmSource } from "./memory/instantiate.js";
import { LinearMemory } from "./memory/linearMemory.js";
import { MAGIC, type ModuleExports, PAGE_LIMIT, PAGE_OWNERS, PAGE_SIZE, ROOT, verifyModule } from "./memory/module.js";
import type { Platform } from "./platform.js";
import { Runtime } from "./runtime.js";

/** Options of {@link createRuntime}; all have defaults. Others are refused, so that a misspelt one is found. */
export interface RuntimeOptions {
  /** Memory taken at the start, in bytes, rounded up to pages of 64 KiB. Default 1 MiB, or `maximumBytes` if that is less. */
  initialBytes?: number | undefined;
  /**
   * The most memory it may ever take, in bytes, rounded down to pages: at most 65,535 pages, and at least 128 KiB, for the tables
   * and a page, which is enough for timers only. 192 KiB are enough for an arena, a map, a pool of small records, small or
   * medium frames, or a byte heap, and 256 KiB for a heap or checked bytes. Default 1 GiB.
   */
  maximumBytes?: number | undefined;
  /**
   * Take the debug module: what ends is filled with poison, canaries lie behind blocks and cells, every event has a context of
   * its own, so that one that was kept is found out, and leaks are told of. It is slower. Default false, or what the module given
   * as `wasm` is, which must not be another than is asked for.
   */
  debug?: boolean | undefined;
  /**
   * Told, in the debug runtime, of whatever owns memory (an arena, a pool of records, frames or regions, a byte heap, a
   * collection, a heap, a scope, a kept handle, timers, a source's messages, the runtime itself) and is garbage-collected without
   * having been disposed of; by default a warning on the console. The engine collects when it likes, never while the program runs
   * synchronously, and perhaps not at all before the process ends. A runtime that is dropped with all that is in it is one leak.
   * A function that refers to an owner keeps it from being collected.
   */
  onLeak?: ((this: void, leak: Leak) => void) | undefined;
  /** The module to instantiate, where the package's own way of finding it does not fit (some bundlers, some hosts). */
  wasm?: WasmSource | undefined;
  /**
   * The memory to live in, with nothing in it yet; by default a new one. `initialBytes` makes it grow if it is smaller. It needs
   * a maximum of its own, of 65,535 pages at the most, and must be neither larger than `maximumBytes` nor in use by another
   * runtime.
   */
  memory?: WebAssembly.Memory | undefined;
}

const DEFAULT_INITIAL_BYTES = 1 << 20;
const DEFAULT_MAXIMUM_BYTES = 1 << 30;

/** How a platform finds the package's own modules. */
export type ModuleLoader = (debug: boolean) => Promise<WebAssembly.Module>;

/**
 * Makes the `createRuntime` of one platform.
 *
 * @param find finds the release or the debug module, and compiles it; called once for each
 * @param platform what else there is on the platform; loops on the runtime make use of it
 */
export function runtimeFactory(
  find: ModuleLoader,
  platform: Platform = {},
): (options?: RuntimeOptions) => Promise<Runtime> {
  const load = loadOnce(find);
  return async (options = {}) => {
    const { initialPages, maximumPages, debug, onLeak, wasm, memory: given } = settingsOf(options);
    if (given !== undefined) checkMemory(given, maximumPages);
    const stack = (debug ?? wasm !== undefined) ? callerStack() : ""; // now, since after an await it is another
    const raw = given ?? newMemory(initialPages, maximumPages);
    const memory = new LinearMemory(raw);
    const { module } = await compile("wasm", wasm === undefined ? load(debug === true) : wasm);
    if (debug !== undefined && isDebugModule(module) === !debug) {
      throw new InvalidModuleError(
        `the module given as wasm is the ${debug ? "release" : "debug"} module, but debug is ${debug}: give the other, or no debug`,
      );
    }
    // Once more, since another runtime may have taken the memory meanwhile; from here on nothing waits.
    if (given !== undefined) checkMemory(given, maximumPages);
    const exports = instantiateOver(memory, module, {}) as ModuleExports;
    verifyModule(exports);
    memory.attach(exports);
    if (given !== undefined) prepareMemory(memory, initialPages, maximumPages);
    if (exports.initialize(maximumPages) === 0) {
      throw new InvalidArgumentError(
        `a memory of ${raw.buffer.byteLength} bytes cannot be run with maximumBytes ${maximumPages * PAGE_SIZE}`,
      );
    }
    // A memory that others have had may hold anything, so no page of it passes as untouched.
    if (given !== undefined) {
      memory.setRootWord("ROOT_FIRST_UNTOUCHED", memory.rootWord("ROOT_COMMITTED_PAGES"));
    }
    const runtime = new Runtime(memory, platform);
    if (runtime.debug) memory.sites = new AllocationSites(memory, onLeak, stack);
    return runtime;
  };
}

/** The error of a loader whose module's file is not there. */
export function moduleNotFound(cause: unknown): InvalidModuleError {
  return new InvalidModuleError(
    `the package's module cannot be found: ${messageOf(cause)}. Where a bundler has not copied its file, use the entry ` +
      "tidemark/inline, or give the module as wasm",
    { cause },
  );
}

/** Keeps what `find` has found. */
function loadOnce(find: ModuleLoader): ModuleLoader {
  const compiled = new Map<boolean, Promise<WebAssembly.Module>>();
  return (debug) => {
    let module = compiled.get(debug);
    if (module === undefined) {
      module = find(debug);
      compiled.set(debug, module);
      module.catch(() => compiled.delete(debug)); // what failed once (no network, say) may succeed next time
    }
    return module;
  };
}

const OPTIONS: NamesOf<RuntimeOptions> = {
  initialBytes: true,
  maximumBytes: true,
  debug: true,
  onLeak: true,
  wasm: true,
  memory: true,
};

/** The options, checked and complete. */
interface RuntimeSettings {
  readonly initialPages: number;
  readonly maximumPages: number;
  readonly debug: boolean | undefined;
  readonly onLeak: (leak: Leak) => void;
  readonly wasm: WasmSource | undefined;
  readonly memory: WebAssembly.Memory | undefined;
}

function settingsOf(options: RuntimeOptions): RuntimeSettings {
  assertOptions("the options argument of createRuntime", options, OPTIONS);
  const { maximumBytes = DEFAULT_MAXIMUM_BYTES, debug, onLeak = warnOfLeak, wasm, memory } = options;
  const maximum = checkInteger("maximumBytes", maximumBytes, 1, PAGE_LIMIT * PAGE_SIZE);
  const maximumPages = Math.floor(maximum / PAGE_SIZE);
  const metadataPages = Math.ceil((PAGE_OWNERS + maximumPages) / PAGE_SIZE);
  if (maximumPages < metadataPages + 1) {
    throw new InvalidArgumentError(
      `maximumBytes must be at least ${(metadataPages + 1) * PAGE_SIZE}, tables included, but is ${maximum}`,
    );
  }
  const { initialBytes = Math.min(DEFAULT_INITIAL_BYTES, maximum) } = options;
  const initial = checkInteger("initialBytes", initialBytes, 1, maximum);
  const initialPages = Math.min(Math.max(Math.ceil(initial / PAGE_SIZE), metadataPages), maximumPages);
  if (debug !== undefined) checkFlag("debug", debug);
  assertFunction("onLeak", onLeak);
  if (memory !== undefined && !(memory instanceof WebAssembly.Memory)) {
    throw new InvalidArgumentError(`memory must be a WebAssembly.Memory, but is ${describe(memory)}`);
  }
  return { initialPages, maximumPages, debug, onLeak, wasm, memory };
}

function newMemory(initial: number, maximum: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial, maximum });
  } catch (cause) {
    throw new OutOfMemoryError(`the engine refused a memory of ${initial} pages with a maximum of ${maximum}`, {
      cause,
    });
  }
}

/** Refuses a given memory that is too large, or in use. */
function checkMemory({ buffer }: WebAssembly.Memory, maximumPages: number): void {
  if (buffer.byteLength > maximumPages * PAGE_SIZE) {
    throw new InvalidArgumentError(
      `the memory given has ${buffer.byteLength} bytes, more than the maximumBytes of ${maximumPages * PAGE_SIZE}`,
    );
  }
  if (buffer.byteLength > 0 && new DataView(buffer).getUint32(ROOT, true) === MAGIC) {
    throw new InvalidArgumentError("the memory given is in use by another runtime: dispose of that first");
  }
}

/** Grows a given memory to the first pages that are needed, and clears those of the tables. */
function prepareMemory(memory: LinearMemory, initialPages: number, maximumPages: number): void {
  const pages = memory.raw.buffer.byteLength / PAGE_SIZE;
  try {
    if (pages < initialPages) memory.raw.grow(initialPages - pages);
  } catch (cause) {
    throw new OutOfMemoryError(`the memory given has ${pages} pages and refused to grow to ${initialPages}`, { cause });
  }
  memory.refresh();
  memory.u8.fill(0, 0, Math.min(PAGE_OWNERS + maximumPages, memory.u8.length));
}
