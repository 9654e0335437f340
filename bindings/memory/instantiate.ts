import { instantiateSync } from "@assemblyscript/loader";
import { assertObject, describe, isInstance, messageOf } from "../arguments.js";
import { InvalidArgumentError, InvalidModuleError, TidemarkError } from "../errors.js";
import type { LinearMemory } from "./linearMemory.js";
import { GUEST_DATA, stackStartOf, staticDataOf } from "./staticData.js";

/** What has LLVM's linker put data and stack where those of guests belong. */
const LINKER_FLAGS = `--global-base=${GUEST_DATA.start} -z stack-size=16384, from LLVM 22 on --no-stack-first`;

/** What can be instantiated: a compiled module, its bytes, or a response that delivers them. */
export type WasmSource =
  | WebAssembly.Module
  | BufferSource
  | Response
  | PromiseLike<WebAssembly.Module | BufferSource | Response>;

/**
 * Compiles `source`; gives its bytes too, where it is not a compiled module already.
 *
 * @param what the argument's name, for the message
 * @throws {InvalidArgumentError} if it is nothing of the kind
 * @throws {InvalidModuleError} if it cannot be fetched or compiled
 */
export async function compile(
  what: string,
  source: WasmSource,
): Promise<{ module: WebAssembly.Module; bytes?: Uint8Array }> {
  try {
    const given = await source;
    if (given instanceof WebAssembly.Module) return { module: given };
    if (typeof Response === "function" && given instanceof Response) {
      if (!given.ok) throw new Error(`${given.url} could not be fetched: status ${given.status}`);
      return compile(what, await given.arrayBuffer());
    }
    const buffer = given as BufferSource;
    assertBuffer(what, buffer);
    const bytes = ArrayBuffer.isView(buffer)
      ? new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength).slice()
      : new Uint8Array(buffer).slice();
    return { module: await WebAssembly.compile(bytes), bytes };
  } catch (cause) {
    throw invalidModule(cause);
  }
}

/** Throws unless these are bytes, of any realm. */
function assertBuffer(what: string, given: BufferSource): void {
  const tag = Object.prototype.toString.call(given);
  if (ArrayBuffer.isView(given) || tag === "[object ArrayBuffer]" || tag === "[object SharedArrayBuffer]") return;
  const found = given instanceof URL ? `the URL ${given.href}` : describe(given);
  throw new InvalidArgumentError(
    `${what} must be a compiled module, its bytes, a Response, or a promise of one of these, but is ${found}`,
  );
}

/**
 * Makes sure that a guest works on the memory it is given, and not on one beside it, in which every address means something else.
 *
 * @throws {InvalidModuleError} if it exports a memory that it has not imported
 */
export function assertSharesMemory(module: WebAssembly.Module): void {
  if (importsMemory(module) || !WebAssembly.Module.exports(module).some(({ kind }) => kind === "memory")) return;
  throw new InvalidModuleError(
    "the module has a memory of its own, and would see nothing of the runtime's: compile it with --importMemory " +
      "(wasm-ld: --import-memory)",
  );
}

function importsMemory(module: WebAssembly.Module): boolean {
  return WebAssembly.Module.imports(module).some(({ kind }) => kind === "memory");
}

/**
 * Makes sure that what a guest has in a memory of the runtime's keeps to the place that is for it.
 *
 * @param bytes of `module`
 * @throws {InvalidModuleError} if its static data, or its stack, lies where the runtime's own tables do
 */
export function assertPlacement(module: WebAssembly.Module, bytes: Uint8Array): void {
  if (!importsMemory(module)) return; // it has none, or one that nobody else sees
  const data = staticDataOf(bytes);
  const stray = data.find(({ start, end }) => start < GUEST_DATA.start || end > GUEST_DATA.end);
  if (stray !== undefined) {
    throw new InvalidModuleError(
      `the module has static data from ${stray.start} to ${stray.end}, over the runtime's own: compile it with ` +
        `--memoryBase ${GUEST_DATA.start} (wasm-ld: ${LINKER_FLAGS}), to end at ${GUEST_DATA.end} at the latest`,
    );
  }
  const stack = stackStartOf(module, bytes);
  if (stack === undefined) return;
  // Below the data it would go down to 0, over the runtime's root.
  const isFirst = stack <= GUEST_DATA.start || data.some(({ start }) => start >= stack);
  if (stack <= GUEST_DATA.end && !isFirst) return;
  throw new InvalidModuleError(
    `the module has a stack that goes down from ${stack}, over the runtime's own memory: link it with ${LINKER_FLAGS}, ` +
      `for data and stack to end at ${GUEST_DATA.end} at the latest`,
  );
}

/** Whether a module of the package's source is compiled with DEBUG=1; undefined if it cannot be told, and does not matter. */
export function isDebugModule(module: WebAssembly.Module): boolean | undefined {
  const mode = WebAssembly.Module.imports(module).find(({ module: from }) => from === "growth")?.name;
  return mode === undefined ? undefined : mode === "grownDebug";
}

/** @throws {InvalidArgumentError} if `imports` is no object, or has something that is none for a module */
export function assertImports(imports: WebAssembly.Imports): void {
  assertObject("the imports", imports);
  for (const [name, members] of Object.entries(imports)) {
    if (members !== undefined && typeof members !== "function")
      assertObject(`the imports from ${describe(name)}`, members);
  }
}

/** @throws {InvalidModuleError} if the module's imports cannot be met, or its start function traps */
export function instantiateOver(
  memory: LinearMemory,
  module: WebAssembly.Module,
  imports: WebAssembly.Imports,
): object {
  try {
    const { instance } = instantiateSync(module, {
      ...imports,
      env: { ...imports.env, memory: memory.raw },
      growth: { grown: () => memory.refresh(), grownDebug: () => memory.refresh() },
    });
    // Not the loader's own `exports`: those go through a wrapper that costs more than most calls do.
    return instance.exports;
  } catch (cause) {
    throw invalidModule(cause);
  }
}

function invalidModule(cause: unknown): TidemarkError {
  if (isInstance(cause, TidemarkError)) return cause;
  return new InvalidModuleError(`the module cannot be instantiated: ${messageOf(cause)}`, { cause });
}
