// What the module exports, and nothing else.

import { Arena } from "./allocators/arena";
import { Mark } from "./allocators/arenaMark";
import { ByteHeap } from "./allocators/byteHeap";
import { Findings } from "./allocators/findings";
import { Pool } from "./allocators/pool";
import { FreeCell, Slab } from "./allocators/slab";
import { KEY_FIELDS, KEY_LIMIT, KEY_SLOT, SHOWN_KEY, SortedMap, VALUE_LIMIT } from "./collections/sortedMap";
import { NODE_HEADER, Node } from "./collections/sortedMapNode";
import { CELLS_LIMIT } from "./collectors/cellBlock";
import { CellClass } from "./collectors/cellClass";
import { COUNT_ONE } from "./collectors/countWord";
import { Heap, Strategy } from "./collectors/heap";
import { Scope } from "./collectors/scope";
import { WordStack } from "./collectors/wordStack";
import { FRAMING_BYTES, MessageRing, PREFIX_BYTES, RING_BYTES_LIMIT, RingEntry } from "./loop/messageRing";
import { SEGMENT_LIMIT, SEGMENT_SHIFT, Wheel } from "./loop/timingWheel";
import { Owner } from "./memory/pageHeap";
import { Root } from "./memory/root";

export {
  ARENA_SIZE,
  allocateAligned as arenaAllocate,
  arenaContains,
  createArena,
  destroyArena,
  reserveArena,
  reservedBytes as arenaReserved,
  resetClaimed,
  usedBytes as arenaUsed,
} from "./allocators/arena";
export { markArena, rewindArena, setGuardAside } from "./allocators/arenaMark";
export { validateArena } from "./allocators/arenaValidate";
export { createByteHeap, destroyByteHeap, trimByteHeap } from "./allocators/byteHeap";
export {
  allocateMany as byteHeapAllocateMany,
  byteHeapAllocate,
  byteHeapFree,
  byteHeapPages,
  byteHeapReallocate,
  byteHeapUsableSize,
  freeMany as byteHeapFreeMany,
} from "./allocators/byteHeapCalls";
export { validateByteHeap } from "./allocators/byteHeapValidate";
export {
  allocateChecked as byteHeapAllocateChecked,
  checkedGuard as byteHeapCheckedGuard,
  freeChecked as byteHeapFreeChecked,
} from "./allocators/checkedBlock";
export {
  aligned_alloc,
  calloc,
  free,
  malloc,
  malloc_usable_size,
  posix_memalign,
  realloc,
  setGuestHeap,
} from "./allocators/cMemory";
export { copyGraph } from "./allocators/copy";
export { allocateFindings, freeFindings } from "./allocators/findings";
export {
  claimCells,
  clearPool,
  createPool,
  destroyPool,
  nextCell as poolNext,
  poolAllocate,
  poolCount,
  poolFree,
  poolGuard,
  returnCells,
} from "./allocators/pool";
export { validatePool } from "./allocators/poolValidate";
export { clearSortedMap, createSortedMap, destroySortedMap } from "./collections/sortedMap";
export { deleteKey as sortedMapDelete } from "./collections/sortedMapDelete";
export { insert as sortedMapInsert, set as sortedMapSet } from "./collections/sortedMapInsert";
export {
  compareTo as sortedMapCompare,
  find as sortedMapFind,
  seekNeighbour as sortedMapSeek,
} from "./collections/sortedMapSearch";
export { validateSortedMap } from "./collections/sortedMapValidate";
export { addType as heapAddType } from "./collectors/cellType";
export {
  endScope,
  heapAllocate,
  heapAllocateArray,
  heapBeginCycle,
  heapBeginDue,
  heapHooked,
  heapIdle,
  heapLoadWeak,
  heapNextObject,
  heapOwed,
  heapRefused,
  heapSlotList,
  heapStep,
  heapStore,
  heapStoreWeak,
  keepHandle,
  moveHandle,
  pushHandle,
  releaseHandle,
} from "./collectors/heapCalls";
export { createHeap, destroyHeap, figures as heapFigures } from "./collectors/heapLife";
export { validateHeap as heapValidate } from "./collectors/heapValidate";
export { openScope } from "./collectors/scope";
export {
  createMessageRing,
  destroyMessageRing,
  fillRing,
  frameAll,
  frameLine,
  framePrefixed,
  releaseMessage,
  ringRoom,
  skipLine,
  skipPrefixed,
} from "./loop/messageRing";
export { validateMessageRing } from "./loop/messageRingValidate";
export { armTimer, cancelTimer, createWheel, delayTimer, destroyWheel, moveTimer, takeTimer } from "./loop/timingWheel";
export { advanceWheel, nextWake } from "./loop/timingWheelAdvance";
export { validateWheel } from "./loop/timingWheelValidate";
export { returnGuard } from "./memory/guard";
export { allocatePages, freePages, initialize, ownerOf, reservePages, seal, validatePages } from "./memory/pageHeap";
export {
  GUEST_BASE,
  LAYOUT_VERSION,
  MAGIC,
  OWNER_PAGES,
  PAGE_BITMAP,
  PAGE_LIMIT,
  PAGE_OWNERS,
  ROOT,
} from "./memory/root";
export { SMALL_BLOCK_SIZE } from "./memory/smallBlock";

// Offsets of the fields that TypeScript reads or writes in place, and numbers that it has of its own.
export const ARENA_CURSOR: u32 = offsetof<Arena>("cursor");
export const ARENA_LIMIT: u32 = offsetof<Arena>("limit");
export const ARENA_GUARD: u32 = offsetof<Arena>("guard");
export const ARENA_RESERVED: u32 = offsetof<Arena>("reserved");
export const ARENA_BLOCKS: u32 = offsetof<Arena>("blocks");
export const ARENA_PIECES: u32 = offsetof<Arena>("pieces");
export const ARENA_HIGH_WATER: u32 = offsetof<Arena>("highWater");
export const ARENA_MAXIMUM_BYTES: u32 = offsetof<Arena>("maximumBytes");
export const ARENA_RESETS: u32 = offsetof<Arena>("resets");
export const ARENA_CHILD_COUNT: u32 = offsetof<Arena>("childCount");
export const ARENA_DEPTH: u32 = offsetof<Arena>("depth");
export const ARENA_SERIAL: u32 = offsetof<Arena>("serial");
export const ARENA_BIRTH: u32 = offsetof<Arena>("birth");
export const MARK_SERIAL: u32 = offsetof<Mark>("serial");

export const POOL_SLABS: u32 = offsetof<Pool>("slabs");
export const POOL_SLAB_PAGES: u32 = offsetof<Pool>("slabPages");
export const POOL_CAPACITY: u32 = offsetof<Pool>("capacity");
export const POOL_RETIRED: u32 = offsetof<Pool>("retired");
export const POOL_GUARD: u32 = offsetof<Pool>("guard");
export const POOL_DAMAGED: u32 = offsetof<Pool>("damaged");
export const POOL_OWNER: u32 = Owner.POOL;
export const SLAB_POOL: u32 = offsetof<Slab>("pool");
export const CELL_NEXT: u32 = offsetof<FreeCell>("next");
export const CELL_GUARD: u32 = offsetof<FreeCell>("guard");
export const BYTE_HEAP_DAMAGED: u32 = offsetof<ByteHeap>("damaged");
export const BYTE_HEAP_REFUSALS: u32 = offsetof<ByteHeap>("refusals");
export const FINDINGS_VIOLATION: u32 = offsetof<Findings>("violation");
export const FINDINGS_ADDRESS: u32 = offsetof<Findings>("address");
export const FINDINGS_BLOCKS: u32 = offsetof<Findings>("blocks");
export const FINDINGS_BYTES: u32 = offsetof<Findings>("bytes");
export const FINDINGS_FREE_BLOCKS: u32 = offsetof<Findings>("freeBlocks");
export const FINDINGS_FREE_BYTES: u32 = offsetof<Findings>("freeBytes");
export const FINDINGS_LARGEST_FREE: u32 = offsetof<Findings>("largestFree");

export const HEAP_SLOT: u32 = offsetof<Heap>("slot");
export const HEAP_BARRIER: u32 = offsetof<Heap>("barrier");
export const HEAP_DYING: u32 = offsetof<Heap>("dying");
export const HEAP_DYING_TYPE: u32 = offsetof<Heap>("dyingType");
export const HEAP_PHASE: u32 = offsetof<Heap>("phase");
export const HEAP_CYCLES: u32 = offsetof<Heap>("cycles");
export const HEAP_OBJECTS: u32 = offsetof<Heap>("objects");
export const HEAP_BYTES: u32 = offsetof<Heap>("bytes");
export const HEAP_FLOATING_BYTES: u32 = offsetof<Heap>("floatingBytes");
export const HEAP_PENDING: u32 = offsetof<Heap>("pendingCount");
export const HEAP_CANDIDATES: u32 = offsetof<Heap>("candidateCount");
export const HEAP_FREED_OBJECTS: u32 = offsetof<Heap>("freedObjects");
export const HEAP_LAST_CYCLE_UNITS: u32 = offsetof<Heap>("lastCycleUnits");
export const HEAP_BLOCK_PAGES: u32 = offsetof<Heap>("blockPages");
export const HEAP_HANDLES: u32 = offsetof<Heap>("handles");
export const HEAP_OVERRUNS: u32 = offsetof<Heap>("overruns");
export const HEAP_STARVED: u32 = offsetof<Heap>("starved");
export const HEAP_LOST: u32 = offsetof<Heap>("lost");
export const HEAP_EPOCH_GUARD: u32 = offsetof<Heap>("epochGuard");
export const HEAP_HANDLE_BARRIER: u32 = offsetof<Heap>("handleBarrier");
export const HEAP_COUNT_ONE: u32 = COUNT_ONE;
export const HEAP_CELLS_LIMIT: u32 = CELLS_LIMIT;
export const HEAP_REFCOUNT: u32 = Strategy.REFCOUNT;
export const HEAP_MARK_SWEEP: u32 = Strategy.MARK_SWEEP;
export const HEAP_MARK_SWEEP_STOP: u32 = Strategy.MARK_SWEEP_STOP;
export const SCOPE_GUARD: u32 = offsetof<Scope>("guard");
export const SCOPE_STACK: u32 = offsetof<Scope>("stack");
export const STACK_TOP: u32 = offsetof<WordStack>("top");
export const STACK_END: u32 = offsetof<WordStack>("end");
export const CLASS_CURSOR: u32 = offsetof<CellClass>("cursor");
export const CLASS_LIMIT: u32 = offsetof<CellClass>("limit");
export const CLASS_STRIDE: u32 = offsetof<CellClass>("stride");

export const ROOT_STATUS: u32 = offsetof<Root>("status");
export const ROOT_STATUS_REQUESTED: u32 = offsetof<Root>("statusRequested");
export const ROOT_DEBUG: u32 = offsetof<Root>("debug");
export const ROOT_SEALED: u32 = offsetof<Root>("sealed");
export const ROOT_MAXIMUM_PAGES: u32 = offsetof<Root>("maximumPages");
export const ROOT_COMMITTED_PAGES: u32 = offsetof<Root>("committedPages");
export const ROOT_FREE_PAGES: u32 = offsetof<Root>("freePages");
export const ROOT_HIGH_WATER_PAGES: u32 = offsetof<Root>("highWaterPages");
export const ROOT_GROWTHS: u32 = offsetof<Root>("growths");
export const ROOT_FIRST_UNTOUCHED: u32 = offsetof<Root>("firstUntouched");
export const ROOT_GUARDS_LIVE: u32 = offsetof<Root>("guardsLive");
export const ROOT_GUEST_HEAP: u32 = offsetof<Root>("guestHeap");
export const ROOT_STEPS: u32 = offsetof<Root>("steps");
export const ROOT_REFUSE_AFTER: u32 = offsetof<Root>("refuseAfter");

export const SORTED_MAP_SIZE: u32 = offsetof<SortedMap>("size");
export const SORTED_MAP_HEIGHT: u32 = offsetof<SortedMap>("height");
export const SORTED_MAP_FIRST: u32 = offsetof<SortedMap>("first");
export const SORTED_MAP_LAST: u32 = offsetof<SortedMap>("last");
export const SORTED_MAP_GUARD: u32 = offsetof<SortedMap>("guard");
export const SORTED_MAP_GENERATION: u32 = offsetof<SortedMap>("generation");
export const SORTED_MAP_INDEX: u32 = offsetof<SortedMap>("index");
export const SORTED_MAP_VALUES_OFFSET: u32 = offsetof<SortedMap>("valuesOffset");
export const SORTED_MAP_NODES: u32 = offsetof<SortedMap>("nodes");
export const SORTED_MAP_RUN_BYTES: u32 = offsetof<SortedMap>("runBytes");
export const SORTED_MAP_VALUE_SLOT: u32 = offsetof<SortedMap>("valueSlot");
export const SORTED_MAP_KEY_SLOT: u32 = KEY_SLOT;
export const SORTED_MAP_SHOWN_KEY: u32 = SHOWN_KEY;
export const SORTED_MAP_KEY_FIELDS: u32 = KEY_FIELDS + 4;
export const SORTED_MAP_NODE_NEXT: u32 = offsetof<Node>("next");
export const SORTED_MAP_NODE_PREVIOUS: u32 = offsetof<Node>("previous");
export const SORTED_MAP_NODE_COUNT: u32 = offsetof<Node>("count");
export const SORTED_MAP_NODE_HEADER: u32 = NODE_HEADER;
export const SORTED_MAP_KEY_LIMIT: u32 = KEY_LIMIT;
export const SORTED_MAP_VALUE_LIMIT: u32 = VALUE_LIMIT;

export const WHEEL_ARMS: u32 = offsetof<Wheel>("arms");
export const WHEEL_FIRED: u32 = offsetof<Wheel>("fired");
export const WHEEL_CANCELLED: u32 = offsetof<Wheel>("cancelled");
export const WHEEL_WAKE: u32 = offsetof<Wheel>("wake");
export const WHEEL_CURRENT: u32 = offsetof<Wheel>("current");
export const WHEEL_GENERATION: u32 = offsetof<Wheel>("generation");
export const WHEEL_ARMED: u32 = offsetof<Wheel>("armed");
export const WHEEL_HIGH_WATER: u32 = offsetof<Wheel>("highWater");
export const WHEEL_PAGES: u32 = offsetof<Wheel>("pages");
export const WHEEL_SEGMENT_SHIFT: u32 = SEGMENT_SHIFT;
export const WHEEL_SLOTS: u32 = SEGMENT_LIMIT << SEGMENT_SHIFT;

export const RING_DATA: u32 = offsetof<MessageRing>("data");
export const RING_CAPACITY: u32 = offsetof<MessageRing>("capacity");
export const RING_HEAD: u32 = offsetof<MessageRing>("head");
export const RING_FRAME: u32 = offsetof<MessageRing>("frame");
export const RING_TAIL: u32 = offsetof<MessageRing>("tail");
export const RING_WRAPPED: u32 = offsetof<MessageRing>("wrapped");
export const RING_ENTRIES: u32 = offsetof<MessageRing>("entries");
export const RING_COUNT: u32 = offsetof<MessageRing>("count");
export const RING_TOO_LONG: u32 = offsetof<MessageRing>("tooLong");
export const RING_SKIP: u32 = offsetof<MessageRing>("skip");
export const RING_HIGH_WATER: u32 = offsetof<MessageRing>("highWater");
export const RING_COUNT_HIGH_WATER: u32 = offsetof<MessageRing>("countHighWater");
export const RING_PAGES: u32 = offsetof<MessageRing>("pages");
export const RING_MOVED: u32 = offsetof<MessageRing>("moved");
export const RING_ENTRY_LIST: u32 = offsetof<MessageRing>();
export const RING_ENTRY_OFFSET: u32 = offsetof<RingEntry>("offset");
export const RING_ENTRY_LENGTH: u32 = offsetof<RingEntry>("length");
export const RING_ENTRY_BYTES: u32 = offsetof<RingEntry>();
export const RING_PREFIX_BYTES: u32 = PREFIX_BYTES;
export const RING_FRAMING_BYTES: u32 = FRAMING_BYTES;
export { RING_BYTES_LIMIT };
