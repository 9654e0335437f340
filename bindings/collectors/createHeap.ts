import { assertOptions, checkInteger, describe, type NamesOf } from "../arguments.js";
import { InvalidArgumentError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import { CollectedObjects } from "./collectedObjects.js";
import type { Strategy } from "./figures.js";
import { Heap, type HeapOptions } from "./heap.js";
import { ManualObjects } from "./manualObjects.js";

const STRATEGIES: readonly Strategy[] = ["manual", "refcount", "mark-sweep", "mark-sweep-stop"];

const DEFAULT_STEP_UNITS = 2000;
/** A run of cycle collection is short where little lives, so it need not wait for as much. */
const DEFAULT_MINIMUM_BYTES = {
  manual: 1,
  refcount: 1 << 18,
  "mark-sweep": 1 << 20,
  "mark-sweep-stop": 1 << 20,
} as const;
const UNIT_LIMIT = 0x7fff_ffff;
const BYTES_LIMIT = 0xffff_ffff;

const OPTIONS: NamesOf<HeapOptions> = { types: true, stepUnits: true, minimumBytes: true };

/**
 * Makes the heap of a strategy.
 *
 * @throws {InvalidArgumentError} for an unknown strategy, or options that do not fit
 * @throws {OutOfMemoryError}, {SealedError}; nothing has changed
 */
export function createHeap(memory: LinearMemory, strategy: Strategy, options: HeapOptions): Heap {
  memory.assertUsable("heap");
  if (!STRATEGIES.includes(strategy)) {
    throw new InvalidArgumentError(`heap takes one of ${STRATEGIES.join(", ")}, not ${describe(strategy)}`);
  }
  assertOptions("the options argument of a heap", options, OPTIONS);
  const { types, stepUnits = DEFAULT_STEP_UNITS, minimumBytes = DEFAULT_MINIMUM_BYTES[strategy] } = options;
  checkInteger("stepUnits", stepUnits, 1, UNIT_LIMIT);
  checkInteger("minimumBytes", minimumBytes, 1, BYTES_LIMIT);
  const declared = Array.isArray(types) ? [...types] : types; // once: a list may say another thing the second time
  const objects =
    strategy === "manual"
      ? new ManualObjects(memory, declared)
      : new CollectedObjects(memory, strategy, declared, { stepUnits, minimumBytes });
  return new Heap(strategy, declared, objects, objects.types, stepUnits);
}
