import { CorruptionError } from "../errors.js";
import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";

/** What a walk over a pool or a heap has counted. */
export interface Findings {
  /** Pieces in use, and their bytes. */
  readonly blocks: number;
  readonly bytes: number;
  /** Pieces that are free, their bytes where they differ in size, and the largest of these. */
  readonly freeBlocks: number;
  readonly freeBytes: number;
  readonly largestFree: number;
}

/** In words, in the order of the numbers in assembly/allocators/findings.ts. */
const VIOLATIONS: readonly string[] = [
  "nothing",
  "memory that belongs to someone else",
  "a span whose bitmaps make no sense",
  "a broken ring",
  "a block that is known as free, but in use",
  "tags that disagree with their neighbours",
  "a broken bin of free blocks",
  "figures that disagree with what is there",
  "bytes written past the end of a block, or after its free",
  "a slab whose counts disagree with its cells",
];

/**
 * Walks over all of an allocator in wasm.
 *
 * @param validate the module's function, given the address to write its findings to; 0 for a violation
 * @throws {CorruptionError} naming the first violation and its address
 * @throws {OutOfMemoryError} or {SealedError} if there is no room for the findings
 */
export function walk(memory: LinearMemory, what: string, validate: (findings: Address) => number): Findings {
  const { exports } = memory;
  const findings = exports.allocateFindings() >>> 0;
  if (findings === 0) throw memory.failure(`walking over a ${what}`);
  const isWell = isWellBy(validate, findings);
  const word = (name: `FINDINGS_${string}`) => memory.u32[(findings + exports[name]!.value) >>> 2]!;
  const violation = word("FINDINGS_VIOLATION");
  const address = word("FINDINGS_ADDRESS");
  const counted = {
    blocks: word("FINDINGS_BLOCKS"),
    bytes: word("FINDINGS_BYTES"),
    freeBlocks: word("FINDINGS_FREE_BLOCKS"),
    freeBytes: word("FINDINGS_FREE_BYTES"),
    largestFree: word("FINDINGS_LARGEST_FREE"),
  };
  exports.freeFindings(findings);
  if (isWell === undefined) throw new CorruptionError(`the ${what} is corrupt: something in it leads out of memory`);
  if (!isWell) throw new CorruptionError(`the ${what} is corrupt: ${VIOLATIONS[violation]}, at ${address}`);
  return counted;
}

/** Undefined if the walk has trapped: what it reads may lead it anywhere. */
function isWellBy(validate: (findings: Address) => number, findings: Address): boolean | undefined {
  try {
    return validate(findings) !== 0;
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) return undefined;
    throw error;
  }
}
