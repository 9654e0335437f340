import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import type { AnyStruct } from "./struct.js";

/** Words before the slots: size, alignment, number of slots, padding. */
const HEADER_WORDS = 4;

/** The descriptors that each memory has, by struct, and the arena that they lie in. */
interface Descriptors {
  readonly arena: Address;
  readonly addresses: Map<AnyStruct, Address>;
}
const descriptorsOf = new WeakMap<LinearMemory, Descriptors>();

/**
 * The address of the type descriptor that wasm reads when it copies records of `type`; written when a memory first meets
 * the struct, and kept as long as the memory.
 *
 * @throws {OutOfMemoryError} or {SealedError} if there is no memory for it
 */
export function descriptorOf(memory: LinearMemory, type: AnyStruct): Address {
  let descriptors = descriptorsOf.get(memory);
  if (descriptors === undefined) {
    const arena = memory.exports.createArena(0, 0, 0xffff_ffff) >>> 0;
    if (arena === 0) throw memory.failure("allocating type descriptors");
    descriptors = { arena, addresses: new Map() };
    descriptorsOf.set(memory, descriptors);
  }
  return descriptors.addresses.get(type) ?? describeGraph(memory, descriptors, type);
}

/**
 * Writes the descriptors of `type` and of every struct that its refs lead to. A descriptor is listed only when all of
 * them are written, so that a failure leaves no half of one behind.
 */
function describeGraph(memory: LinearMemory, descriptors: Descriptors, type: AnyStruct): Address {
  const known = new Map(descriptors.addresses);
  const pending = [type];
  const written: { address: Address; words: number[]; targets: AnyStruct[] }[] = [];
  const allocate = (wanted: AnyStruct): void => {
    const words = [wanted.size, wanted.alignment, 0, 0];
    const targets: AnyStruct[] = [];
    wanted.$codec.slots(0, (offset, target) => {
      words.push(offset, 0);
      targets.push(target as AnyStruct);
    });
    words[2] = targets.length;
    const address = memory.exports.arenaAllocate(descriptors.arena, words.length * 4, 8) >>> 0;
    if (address === 0) throw memory.failure(`describing struct ${wanted.name}`);
    known.set(wanted, address);
    written.push({ address, words, targets });
    for (const target of targets) pending.push(target);
  };
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) if (!known.has(next)) allocate(next);
  for (const { address, words, targets } of written) {
    targets.forEach((target, slot) => {
      words[HEADER_WORDS + slot * 2 + 1] = known.get(target)!;
    });
    memory.u32.set(words, address >>> 2);
  }
  for (const [struct, address] of known) descriptors.addresses.set(struct, address);
  return known.get(type)!;
}
