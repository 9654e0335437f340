// The root block: where everything begins.
//
// All state of the runtime lives in linear memory and is reached from here; the module has no mutable globals. An image
// of the memory is therefore a whole snapshot, TypeScript can read every figure without a call, and a second module that
// imports the same memory (a guest) works on the same heap.
//
//   page 0                                                              page 1 (only above 24,576 pages)
//   ┌──────────┬───────────┬──────────────────────┬────────────┬─────────────── ─ ─ ─┐
//   │ nothing  │ root      │ static data of guest │ page       │ page owners         │
//   │          │ block     │ modules (memoryBase) │ bitmap     │ one byte a page     │
//   └──────────┴───────────┴──────────────────────┴────────────┴─────────────── ─ ─ ─┘
//   0          1,024       4,096                  32,768       40,960

import { Address, PAGE_SIZE, pagesFor } from "./alignment";
import { Status } from "./status";

/** "TIDE", little-endian. */
export const MAGIC: u32 = 0x4544_4954;

/** Changes with every change of a layout that TypeScript or a guest module can see. */
export const LAYOUT_VERSION: u32 = 8;

/** At 65,536 pages the end of memory is 2^32 and wraps to 0; one page less keeps every end address a u32. */
export const PAGE_LIMIT: u32 = 65_535;

/** Below this, no address is ever handed out; word 0 is always 0, which makes it the guard of refs that are unset. */
export const ROOT: Address = 1024;

/** Guest modules are compiled with `--memoryBase 4096` and may use the bytes from here up to the page bitmap. */
export const GUEST_BASE: Address = 4096;

/** One bit for each page: 1 = committed and free. */
export const PAGE_BITMAP: Address = 32_768;
export const PAGE_BITMAP_BYTES: u32 = (PAGE_LIMIT + 1) >> 3;

/** One byte for each page: see the page heap. */
export const PAGE_OWNERS: Address = PAGE_BITMAP + PAGE_BITMAP_BYTES;

/** The distinct owners that the page heap keeps figures of; a power of two. */
export const OWNER_COUNT: u32 = 16;

@unmanaged
export class Root {
  magic: u32;
  version: u32;

  /** The status of the last call that failed, and the size or count that it was asked for. */
  status: u32;
  statusRequested: u32;

  /** 1 in the debug module. */
  debug: u32;
  /** 1 from `seal()` on. */
  sealed: u32;

  /** The most pages that memory may ever have; at most {@link PAGE_LIMIT}. */
  maximumPages: u32;
  /** Pages that the heap knows of; memory can be larger only where a host has grown it behind our back. */
  committedPages: u32;
  freePages: u32;
  /** The most pages that were ever in use at once. */
  highWaterPages: u32;
  /** How often memory has grown. */
  growths: u32;
  /** No page below this one is free. */
  firstFree: u32;
  /** Pages from here on have never been used, so they still hold zeros. */
  firstUntouched: u32;

  /** Free guards, and the unused rest of the newest page of guards. */
  guardFree: Address;
  guardCursor: Address;
  guardLimit: Address;
  guardsLive: u32;
  guardsRetired: u32;

  /** The unused rest of the newest page of guard runs. */
  guardRunCursor: Address;
  guardRunLimit: Address;

  /** Pages of small blocks that have at least one free block. */
  smallBlockPages: Address;

  /** The byte heap that malloc and its kin take from; 0 while there is none. */
  guestHeap: Address;
  /** How often these were refused memory, and the pages that were needed last: heaps hear of it between events. */
  guestRefusals: u32;
  guestRefusedPages: u32;

  /** Debug only: steps of loops, see work.ts. */
  steps: u32;
  /** Debug only: which page request, counted from now, is refused: 1 = the next one; 0 = none. */
  refuseAfter: u32;
}
/** How many lists of free guard runs follow the root block. */
export const GUARD_RUN_KINDS: u32 = 48;
/** The root block and what follows it. */
export const ROOT_BYTES: u32 = offsetof<Root>() + GUARD_RUN_KINDS * 4;
if (ROOT + ROOT_BYTES > GUEST_BASE - OWNER_COUNT * 4) ERROR("the root block runs into the guests' static data");

/** The pages in use by each owner: `OWNER_COUNT` words, right below the guests' static data. */
export const OWNER_PAGES: Address = GUEST_BASE - OWNER_COUNT * 4;

// @ts-ignore: a constant of the compiler's command line
export const IS_DEBUG: bool = DEBUG != 0;

/** The root block. A function, not a global, so that the optimizer sees the constant address. */
export function root(): Root {
  return changetype<Root>(ROOT);
}

/** Notes why a call fails and returns address 0, for the caller to return in turn. */
export function fail(status: u32, requested: u32): Address {
  const state = root();
  state.status = status;
  state.statusRequested = requested;
  return 0;
}

/** The pages that hold the root block, the bitmap and the owner table of a memory of `maximumPages`. */
export function metadataPages(maximumPages: u32): u32 {
  return pagesFor(<u32>PAGE_OWNERS + maximumPages);
}
if (PAGE_OWNERS >= <usize>PAGE_SIZE) ERROR("the first page must hold the start of every table");
if (PAGE_BITMAP_BYTES << 3 < PAGE_LIMIT) ERROR("the bitmap must have a bit for every page");
if (Status.OK != 0) ERROR("a cleared root block must mean: no failure");
