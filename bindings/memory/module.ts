import { InvalidModuleError } from "../errors.js";

/** An address in linear memory, in bytes; 0 means "none". */
export type Address = number;

/** A constant that the module exports: a layout version, an offset. */
type Constant = WebAssembly.Global;

/** What the names of constants begin with: whose offsets and limits they are. */
type ConstantPrefix =
  | "ROOT"
  | "ARENA"
  | "MARK"
  | "SORTED_MAP"
  | "POOL"
  | "BYTE_HEAP"
  | "FINDINGS"
  | "HEAP"
  | "SCOPE"
  | "CLASS"
  | "WHEEL"
  | "RING";

/** What `assembly/index.ts` exports. Addresses come back signed: apply `>>> 0` to every one. */
export interface ModuleExports {
  initialize(maximumPages: number): number;
  seal(): void;
  reservePages(count: number): number;
  allocatePages(count: number, owner: number): Address;
  freePages(address: Address, owner: number): number;
  ownerOf(address: Address): number;
  validatePages(): number;

  createArena(parent: Address, sizeHint: number, maximumBytes: number): Address;
  destroyArena(arena: Address): void;
  arenaAllocate(arena: Address, size: number, alignment: number): Address;
  arenaContains(arena: Address, address: Address, bytes: number): number;
  arenaUsed(arena: Address): number;
  arenaReserved(arena: Address): number;
  markArena(arena: Address): Address;
  rewindArena(arena: Address, mark: Address, serial: number): number;
  setGuardAside(arena: Address, mark: Address, serial: number): Address;
  returnGuard(guard: Address): void;
  reserveArena(arena: Address, bytes: number): number;
  resetClaimed(arena: Address, cursor: Address, limit: Address): number;
  validateArena(arena: Address): number;
  copyGraph(target: Address, source: Address, type: Address): Address;

  createPool(cellBytes: number, capacity: number, isFixed: number): Address;
  destroyPool(pool: Address): void;
  clearPool(pool: Address): void;
  poolAllocate(pool: Address): Address;
  poolFree(pool: Address, cell: Address): number;
  poolCount(pool: Address): number;
  claimCells(pool: Address, limit: number): Address;
  returnCells(pool: Address, first: Address): void;
  poolGuard(pool: Address, cell: Address): Address;
  poolNext(pool: Address, after: Address): Address;
  validatePool(pool: Address, findings: Address): number;

  createByteHeap(salt: number): Address;
  destroyByteHeap(heap: Address): void;
  trimByteHeap(heap: Address): void;
  byteHeapAllocate(heap: Address, size: number, alignment: number): Address;
  byteHeapFree(heap: Address, address: Address): number;
  byteHeapReallocate(heap: Address, address: Address, size: number): Address;
  byteHeapUsableSize(heap: Address, address: Address): number;
  byteHeapAllocateChecked(heap: Address, size: number): Address;
  byteHeapCheckedGuard(content: Address): Address;
  byteHeapFreeChecked(heap: Address, content: Address, guard: Address): number;
  byteHeapAllocateMany(heap: Address, count: number, size: number, list: Address): number;
  byteHeapFreeMany(heap: Address, count: number, list: Address): number;
  byteHeapPages(heap: Address): number;
  validateByteHeap(heap: Address, findings: Address): number;
  allocateFindings(): Address;
  freeFindings(findings: Address): void;

  malloc(size: number): Address;
  calloc(count: number, size: number): Address;
  realloc(address: Address, size: number): Address;
  free(address: Address): void;
  aligned_alloc(alignment: number, size: number): Address;
  posix_memalign(result: Address, alignment: number, size: number): number;
  malloc_usable_size(address: Address): number;
  setGuestHeap(heap: Address): void;

  createHeap(strategy: number, minimumBytes: number, stepUnits: number): Address;
  destroyHeap(heap: Address): void;
  heapSlotList(heap: Address, count: number): Address;
  heapAddType(
    heap: Address,
    bytes: number,
    slots: Address,
    slotCount: number,
    cyclicCount: number,
    weakSlots: Address,
    weakCount: number,
    flags: number,
  ): Address;
  heapAllocate(heap: Address, type: Address, scope: Address): Address;
  heapAllocateArray(heap: Address, type: Address, length: number, scope: Address): Address;
  openScope(heap: Address): Address;
  endScope(scope: Address): void;
  pushHandle(scope: Address, object: Address): Address;
  moveHandle(heap: Address, slot: Address, object: Address): number;
  keepHandle(heap: Address, object: Address): Address;
  releaseHandle(heap: Address, slot: Address): void;
  heapStore(heap: Address, slot: Address, object: Address): number;
  heapLoadWeak(heap: Address, slot: Address): Address;
  heapStoreWeak(heap: Address, slot: Address, object: Address): number;
  heapOwed(heap: Address): number;
  heapBeginDue(heap: Address): void;
  heapIdle(heap: Address): void;
  heapStep(heap: Address, units: number): number;
  heapHooked(heap: Address): void;
  heapRefused(heap: Address, pages: number): void;
  heapBeginCycle(heap: Address): void;
  heapNextObject(heap: Address, type: Address, after: Address): Address;
  heapFigures(heap: Address): void;
  heapValidate(heap: Address, findings: Address): number;

  createSortedMap(keyKind: number, keyBytes: number, valueKind: number, valueBytes: number, fields: number): Address;
  destroySortedMap(map: Address): void;
  clearSortedMap(map: Address): number;
  sortedMapFind(map: Address, key: number): Address;
  sortedMapSet(map: Address, key: number, value: number): number;
  sortedMapInsert(map: Address, key: number): Address;
  sortedMapDelete(map: Address, key: number): number;
  sortedMapSeek(map: Address, key: number, neighbour: number): Address;
  sortedMapCompare(map: Address, address: Address, key: number): number;
  validateSortedMap(map: Address): number;

  createWheel(): Address;
  destroyWheel(wheel: Address): void;
  armTimer(wheel: Address, due: number): number;
  cancelTimer(wheel: Address, slot: number, generation: number): number;
  moveTimer(wheel: Address, slot: number, generation: number, due: number): number;
  delayTimer(wheel: Address, slot: number, generation: number, ticks: number): void;
  advanceWheel(wheel: Address, now: number, work: number): number;
  takeTimer(wheel: Address): number;
  nextWake(wheel: Address): void;
  validateWheel(wheel: Address): number;

  createMessageRing(bytes: number, maximum: number): Address;
  destroyMessageRing(ring: Address): void;
  ringRoom(ring: Address, wanted: number): number;
  fillRing(ring: Address, bytes: number): void;
  frameAll(ring: Address): number;
  frameLine(ring: Address): number;
  framePrefixed(ring: Address, isLittleEndian: number): number;
  skipLine(ring: Address): void;
  skipPrefixed(ring: Address): void;
  releaseMessage(ring: Address, slot: number): number;
  validateMessageRing(ring: Address): number;

  readonly LAYOUT_VERSION: Constant;
  readonly PAGE_LIMIT: Constant;
  readonly ROOT: Constant;
  readonly OWNER_PAGES: Constant;
  readonly [constant: `${ConstantPrefix}_${string}`]: Constant;
}

/** The offsets, in bytes, that the fast paths use as constants of their own; checked against the module at start. */
export const ARENA_CURSOR = 0;
export const ARENA_LIMIT = 4;
export const ARENA_GUARD = 8;
export const ARENA_PIECES = 12;
export const ARENA_SERIAL = 80;

/** The size of the arena's header, in bytes, behind which its content begins. */
export const ARENA_SIZE = 104;

/** Words of a slab and a free cell, in bytes from their beginning, that the fast paths use too. */
export const SLAB_POOL = 8;
export const CELL_NEXT = 0;
export const CELL_GUARD = 4;

/** The same of a class of collected objects, and of a stack of words. */
export const CLASS_CURSOR = 0;
export const CLASS_LIMIT = 4;
export const STACK_TOP = 0;
export const STACK_END = 8;

/** Where the static data of guests begins, and ends with the bitmap of pages. */
export const GUEST_BASE = 4096;
export const PAGE_BITMAP = 32_768;

/** The owners' bytes, one for each page, and the byte of a page of pools. */
export const PAGE_OWNERS = 40_960;
export const POOL_OWNER = 8;

/** Where the root block lies, and the word that it begins with. */
export const ROOT = 1024;
export const MAGIC = 0x4544_4954;

/** The layout version that this package speaks. */
const LAYOUT_VERSION = 8;

/** The size of a page in bytes, and the most pages that a memory may have. */
export const PAGE_SIZE = 65_536;
export const PAGE_LIMIT = 65_535;

/** The size of a small block in bytes, which owners of little memory begin with. */
export const SMALL_BLOCK_SIZE = 4352;

/** The sizes of request and alignment beyond which the module refuses at once. */
export const SIZE_LIMIT = 0xffff_0000 - PAGE_SIZE;
export const ALIGNMENT_LIMIT = 4096;

/**
 * Makes sure that an instantiated module is one of this package's, by the constants that it exports.
 *
 * @throws {InvalidModuleError} if one is missing, or another than this package was compiled for
 */
export function verifyModule(exports: ModuleExports): void {
  verifyConstants(exports, "", {
    ROOT,
    MAGIC,
    LAYOUT_VERSION,
    PAGE_LIMIT,
    ARENA_CURSOR,
    ARENA_LIMIT,
    ARENA_GUARD,
    ARENA_PIECES,
    ARENA_SERIAL,
    ARENA_SIZE,
    SLAB_POOL,
    CELL_NEXT,
    CELL_GUARD,
    CLASS_CURSOR,
    CLASS_LIMIT,
    STACK_TOP,
    STACK_END,
    GUEST_BASE,
    PAGE_BITMAP,
    PAGE_OWNERS,
    POOL_OWNER,
    SMALL_BLOCK_SIZE,
  });
}

/** The prefixes that each module has been asked for. */
const verified = new WeakMap<ModuleExports, Set<string>>();

/**
 * Makes sure that the module has the constants of a table, which has their names without `prefix`. O(1) after the first time.
 *
 * @param prefix of one table only
 * @throws {InvalidModuleError} naming the first that is missing, or another
 */
export function verifyConstants(
  exports: ModuleExports,
  prefix: ConstantPrefix | "",
  table: Readonly<Record<string, number>>,
): void {
  const known = verified.get(exports) ?? new Set();
  if (known.has(prefix)) return;
  for (const [name, value] of Object.entries(table)) {
    const fullName = prefix === "" ? name : `${prefix}_${name}`;
    const found = (exports as unknown as Record<string, Constant | undefined>)[fullName]?.value;
    if (found !== value) {
      throw new InvalidModuleError(`this is no module of this version: ${fullName} is ${found}, expected ${value}`);
    }
  }
  verified.set(exports, known.add(prefix));
}
