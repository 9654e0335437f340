import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import type { AnyStruct } from "./struct.js";

/** Words before the slots: size, number of slots, whether there is a destroy hook. */
const HEADER_WORDS = 3;

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
 * Writes the descriptors of `type` and of every struct that its refs lead to. What may fail comes first: the graph is
 * walked, which calls the functions given to `ref`, then memory is taken at once, and only then is anything listed.
 */
function describeGraph(memory: LinearMemory, descriptors: Descriptors, type: AnyStruct): Address {
  const found = new Map<AnyStruct, Slot[]>();
  let words = 0;
  for (const pending = [type]; pending.length > 0; ) {
    const next = pending.pop()!;
    if (found.has(next) || descriptors.addresses.has(next)) continue;
    const slots: Slot[] = [];
    next.$codec.slots(0, (offset, target) => slots.push({ offset, target: target as AnyStruct }));
    found.set(next, slots);
    words += HEADER_WORDS + slots.length * 2;
    for (const { target } of slots) pending.push(target);
  }
  const start = memory.exports.arenaAllocate(descriptors.arena, words * 4, 8) >>> 0;
  if (start === 0) throw memory.failure(`describing struct ${type.name}`);
  memory.recover(); // one of the functions may have had the host grow memory
  let address = start;
  for (const [struct, slots] of found) {
    descriptors.addresses.set(struct, address);
    address += (HEADER_WORDS + slots.length * 2) * 4;
  }
  for (const [struct, slots] of found) {
    const pairs = slots.flatMap(({ offset, target }) => [offset, descriptors.addresses.get(target)!]);
    memory.u32.set(
      [struct.size, slots.length, struct.$destroy === undefined ? 0 : 1, ...pairs],
      descriptors.addresses.get(struct)! >>> 2,
    );
  }
  return start;
}

/** A ref in a struct: where it lies, and what it refers to. */
interface Slot {
  readonly offset: number;
  readonly target: AnyStruct;
}
