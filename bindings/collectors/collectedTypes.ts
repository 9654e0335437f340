import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import { componentsOf } from "./components.js";
import type { HeapArrayType } from "./heapArrays.js";
import { HeapStruct } from "./heapStruct.js";
import type { ObjectType } from "./objects.js";

/** Flags of a type, as assembly/collectors knows them. */
const HOOKED = 1;
const VARIABLE = 2;
const WORD_ALIGNED = 4;

const WORD_BYTES = 4;

/** A reference in objects, or elements, of a type. */
interface Slot {
  readonly offset: number;
  /** The number of the type that it refers to. */
  readonly target: number;
}

/**
 * Tells a heap in wasm of its types: size, where references lie, and which of them may be part of a cycle.
 *
 * A reference can lead back to the object that it is in only if its type can be reached from the type that it refers to:
 * if both are in one strongly connected component of the graph of types. Objects none of whose references can are never
 * looked at as candidates for dead cycles.
 *
 * @throws {OutOfMemoryError} or {SealedError}; then some types may have been added, and the heap is to be destroyed
 */
export function addTypes(memory: LinearMemory, heap: Address, types: readonly (HeapStruct | HeapArrayType)[]): void {
  const numbers = new Map<ObjectType, number>(types.map((type, number) => [type, number]));
  const strong: Slot[][] = [];
  const weak: number[][] = [];
  for (const type of types) {
    const slots: Slot[] = [];
    const weakSlots: number[] = [];
    elementOf(type).$codec.slots(0, (offset, target, isWeak) => {
      if (isWeak) weakSlots.push(offset);
      else slots.push({ offset, target: numbers.get(target as ObjectType)! });
    });
    strong.push(slots);
    weak.push(weakSlots);
  }
  const components = componentsOf(strong.map((slots) => slots.map(({ target }) => target)));
  types.forEach((type, number) => {
    const leadsBack = ({ target }: Slot) => components[target] === components[number];
    const cyclic = strong[number]!.filter(leadsBack);
    const others = strong[number]!.filter((slot) => !leadsBack(slot));
    const slots = [...cyclic, ...others].map(({ offset }) => offset);
    const { bytes, flags } = layoutOf(type);
    const address = memory.exports.heapAddType(
      heap,
      bytes,
      listOf(memory, heap, slots),
      slots.length,
      cyclic.length,
      listOf(memory, heap, weak[number]!),
      weak[number]!.length,
      flags,
    );
    if (address === 0) throw memory.failure(`heap: telling of ${type.name}`);
    type.$type = address >>> 0;
    if (!(type instanceof HeapStruct)) return;
    type.$class = type.$type >>> 2; // a fixed type is the class of its objects at the same time
    type.$stride = memory.u32[(type.$type + memory.exports.CLASS_STRIDE!.value) >>> 2]!;
  });
}

/** The bytes of an object, or of an element, and the flags of its type. Objects without wide fields need not lie 8 bytes apart. */
function layoutOf(type: HeapStruct | HeapArrayType): { readonly bytes: number; readonly flags: number } {
  if (!(type instanceof HeapStruct)) return { bytes: type.element.size, flags: VARIABLE };
  const hooked = type.$destroy === undefined ? 0 : HOOKED;
  if (type.alignment > WORD_BYTES) return { bytes: type.$rounded, flags: hooked };
  return { bytes: Math.ceil(type.size / WORD_BYTES) * WORD_BYTES, flags: hooked | WORD_ALIGNED };
}

/** What the slots of a type are those of: a struct itself, or one element of an array. */
function elementOf(type: HeapStruct | HeapArrayType) {
  return type instanceof HeapStruct ? type : type.element;
}

/** Writes a list of offsets where the heap keeps it; 0 for an empty one. */
function listOf(memory: LinearMemory, heap: Address, offsets: readonly number[]): Address {
  if (offsets.length === 0) return 0;
  const list = memory.exports.heapSlotList(heap, offsets.length) >>> 0;
  if (list === 0) throw memory.failure(`heap: a list of ${offsets.length} references`);
  memory.recover(); // a function given to ref() may have had the host grow memory
  memory.u32.set(offsets, list >>> 2);
  return list;
}
