// The classes of variable-length objects: 16 bytes apart to 128, then four for each doubling, up to CELL_LIMIT; above it each
// object has a block of its own. There is one set for objects without slots, which a cycle need not look into, and one for others.

import { Arena } from "../allocators/arena";
import { Address, SIZE_LIMIT } from "../memory/alignment";
import { fail } from "../memory/root";
import { Status } from "../memory/status";
import { allocateOwn, CELL_LIMIT, CellClass, CLASS_BYTES, layOut } from "./cellClass";
import { CellType, VARIABLE_HEADER, VariableObject } from "./cellType";
import { Heap, refuse } from "./heap";

const FINE_SHIFT: u32 = 4;
const FINE_LIMIT: u32 = 128;
const FINE_COUNT: u32 = FINE_LIMIT >> FINE_SHIFT;
const FINE_POWER: u32 = 7;
const LIMIT_POWER: u32 = 13;
if (1 << LIMIT_POWER != CELL_LIMIT || 1 << FINE_POWER != FINE_LIMIT) ERROR("classes must go up to the limit of cells");

/** The classes of one set, the last of which has blocks made to measure. */
const SET: u32 = FINE_COUNT + ((LIMIT_POWER - FINE_POWER) << 2) + 1;
const OWN: u32 = SET - 1;

/** The bytes of the table of both sets. */
export const VARIABLE_CLASSES_BYTES: u32 = SET * 2 * 4;

/** Returns a new object of a variable type with `length` elements, zeroed, or 0 with a status. */
export function allocateVariable(heap: Heap, type: CellType, length: u32): Address {
  const bytes = <u64>type.bytes * length + VARIABLE_HEADER;
  if (bytes > <u64>(SIZE_LIMIT - heap.lead)) return fail(Status.INVALID_SIZE, <u32>min<u64>(bytes, u32.MAX_VALUE));
  const c = classFor(heap, type, <u32>bytes + heap.lead);
  if (!changetype<Address>(c)) return 0;
  const object = c.stride ? c.allocate() : allocateOwn(c, <u32>bytes);
  if (!object) return 0;
  const header = changetype<VariableObject>(object);
  header.type = changetype<Address>(type);
  header.length = length;
  return object;
}

function classFor(heap: Heap, type: CellType, bytes: u32): CellClass {
  const isLeaf = type.slotCount == 0;
  const index = indexFor(bytes);
  const place = heap.variableClasses + <usize>((isLeaf ? 0 : SET) + index) * 4;
  const known = load<Address>(place);
  if (known) return changetype<CellClass>(known);
  const address = changetype<Arena>(heap.arena).allocate(CLASS_BYTES);
  if (!address) return changetype<CellClass>(refuse(heap));
  memory.fill(address, 0, CLASS_BYTES);
  const c = changetype<CellClass>(address);
  layOut(c, heap, index == OWN ? 0 : strideOf(index) - heap.lead, true);
  c.isLeaf = isLeaf ? 1 : 0;
  store<Address>(place, address);
  return c;
}

function indexFor(bytes: u32): u32 {
  if (bytes <= FINE_LIMIT) return (bytes - 1) >> FINE_SHIFT;
  if (bytes > CELL_LIMIT) return OWN;
  const power = 31 - <u32>clz(bytes - 1);
  return FINE_COUNT + ((power - FINE_POWER) << 2) + (((bytes - 1) >> (power - 2)) & 3);
}

function strideOf(index: u32): u32 {
  if (index < FINE_COUNT) return (index + 1) << FINE_SHIFT;
  const step = index - FINE_COUNT;
  return (5 + (step & 3)) << ((step >> 2) + FINE_POWER - 2);
}
