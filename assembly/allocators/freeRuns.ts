// Free runs: where the small blocks of a heap come from, and go back to.
//
// A run of free granules is in the bin of its length, the longest share one, and the shortest that is long enough is taken: the
// best fit, found by one bit scan. What is given back is merged with the runs beside it. That all classes share all granules is
// what fills memory: classes with spans of their own, 4 KiB each, filled 74 % of it in benchmark case heap/small, this 85.
//
//   run   ┌──────┬──────┬─────┬─ ─ ─ ─ ─ ─┬───────┐
//         │ next │ link │ end │           │ start │     the last word of the last granule
//         └──────┴──────┴─────┴─ ─ ─ ─ ─ ─┴───────┘
//
// These words lie in free memory, where whoever still has a block may write. Each says the same as another one, and is followed
// only if that agrees: a run that has been written over is neither handed out nor merged, and its bin is given up when it
// becomes the first there. That loses memory, which `validate` shows, but no block that lives.
//
// Source: Knuth, TAOCP 1, 2.5, "best fit" and "boundary tags" (1968).

import { Address } from "../memory/alignment";
import { freePages, isCommitted, Owner } from "../memory/pageHeap";
import { GRANULE, GRANULE_SHIFT } from "../memory/sizeClass";
import { countStep } from "../memory/work";
import {
  ALL_GRANULES,
  allocateSpan,
  FIRST_GRANULE,
  GranuleState,
  give,
  isSpanPage,
  LAST_GRANULE,
  linkPage,
  nextPageOf,
  pageOf,
  stateOf,
  take,
  unlinkPage,
} from "./span";

/** Runs of fewer granules have a bin for each length; all others share this one, which has room for any small block. */
export const LAST_BIN: u32 = 28;

/** A heap of fewer pages, or with less than half of their granules free, is never taken for {@link FreeRuns.areMany}. */
const PAGES_MINIMUM: u32 = 3;

@unmanaged
export class FreeRun {
  next: Address;
  /** Where the address of this run is kept: in the `next` before it in its bin, or in the bin's head. */
  link: Address;
  end: Address;
}
const START_SIZE: u32 = sizeof<Address>();
if (offsetof<FreeRun>() + START_SIZE > GRANULE) ERROR("the words of a run must fit a granule");

/** The free runs of one heap, and its pages of granules. */
@unmanaged
export class FreeRuns {
  firstPage: Address;
  pages: u32;
  /** 1 if a page all of whose granules are free is kept. */
  emptyPages: u32;
  /** All that are in runs. */
  freeGranules: u32;
  /** Bit n is set while bin n has a run. The bins' heads follow. */
  filled: u32;

  @inline
  head(bin: u32): Address {
    return changetype<Address>(this) + offsetof<FreeRuns>() - sizeof<Address>() + (bin << 2);
  }

  /** Returns a block of `granules`, in use; 0 if no run is so long. O(1), and once more for each bin that is given up. */
  take(granules: u32): Address {
    let candidates = this.filled & ((<u32>-1) << granules);
    while (candidates) {
      countStep();
      const bin = <u32>ctz(candidates);
      const run = load<Address>(this.head(bin));
      const end = endOf(run);
      if (end && this.remove(run, bin)) {
        if (isWholePage(run, end)) this.emptyPages--;
        const rest = run + (granules << GRANULE_SHIFT);
        if (rest < end) this.insert(rest, end);
        this.freeGranules -= granules;
        take(run, granules);
        return run;
      }
      store<Address>(this.head(bin), 0);
      this.filled &= ~(1 << bin);
      candidates &= candidates - 1;
    }
    return 0;
  }

  /** Takes a warm block back, and its page out of the heap if nothing else lies there and one such page is kept. O(1) */
  give(block: Address, granules: u32): void {
    const behind = block + (granules << GRANULE_SHIFT);
    let start = block;
    let end = behind;
    if (stateOf(behind) == GranuleState.FREE) {
      const told = endOf(behind);
      if (told && this.remove(behind, binOf(behind, told))) end = told;
    }
    if (stateOf(block - GRANULE) == GranuleState.FREE) {
      const told = startOf(block);
      if (told && this.remove(told, binOf(told, block))) start = told;
    }
    give(block, granules);
    this.freeGranules += granules;
    if (isWholePage(start, end)) this.emptyPages++;
    if (this.emptyPages > 1) this.dropPage(pageOf(block));
    else this.insert(start, end);
  }

  /** Takes another page for `heap`, or returns false with a status. */
  addPage(heap: Address): bool {
    const page = allocateSpan(heap);
    if (!page) return false;
    linkPage(page, this.firstPage);
    this.firstPage = page;
    this.pages++;
    this.emptyPages++;
    this.freeGranules += ALL_GRANULES;
    this.insert(page + FIRST_GRANULE, page + LAST_GRANULE);
    return true;
  }

  /** True if so much is free that warm blocks should not keep pages from becoming empty. */
  get areMany(): bool {
    return this.pages >= PAGES_MINIMUM && this.freeGranules * 2 > this.pages * ALL_GRANULES;
  }

  /** Gives the page that is kept empty, if there is one, to the page heap. O(pages) */
  dropEmptyPage(): void {
    let page = this.emptyPages ? this.firstPage : 0;
    while (page) {
      countStep();
      const run = page + FIRST_GRANULE;
      const isEmpty = stateOf(run) == GranuleState.FREE && isWholePage(run, endOf(run));
      if (isEmpty && this.remove(run, LAST_BIN)) {
        this.dropPage(page);
        return;
      }
      page = nextPageOf(page);
    }
  }

  /** Gives every page to the page heap, whatever lives in it, and has none from then on. O(pages) */
  dropAll(): void {
    let page = this.firstPage;
    while (page) {
      const next = nextPageOf(page);
      freePages(page, Owner.HEAP_SPANS);
      page = next;
    }
    memory.fill(changetype<Address>(this), 0, FREE_RUNS_SIZE);
  }

  /** Gives an empty page, whose run is in no bin, to the page heap. */
  private dropPage(page: Address): void {
    this.firstPage = unlinkPage(page, this.firstPage);
    this.pages--;
    this.emptyPages--;
    this.freeGranules -= ALL_GRANULES;
    freePages(page, Owner.HEAP_SPANS);
  }

  private insert(address: Address, end: Address): void {
    const bin = binOf(address, end);
    const head = this.head(bin);
    const run = changetype<FreeRun>(address);
    run.end = end;
    store<Address>(end - START_SIZE, address);
    const first = load<Address>(head);
    run.next = first;
    run.link = head;
    if (first) changetype<FreeRun>(first).link = address + offsetof<FreeRun>("next");
    store<Address>(head, address);
    this.filled |= 1 << bin;
  }

  /** Takes a run out of its bin. False if its words, or those of its neighbour there, have been written over. */
  private remove(address: Address, bin: u32): bool {
    const run = changetype<FreeRun>(address);
    // No address that was written here has these bits; and none without them has its words beyond the end of memory.
    const next = run.next & ~(GRANULE - 1);
    const link = run.link & ~3;
    if (!isCommitted(link) || load<Address>(link) != address) return false;
    if (next) {
      const follower = changetype<FreeRun>(next);
      if (!isSpanPage(next) || follower.link != address + offsetof<FreeRun>("next")) return false;
      follower.link = link;
    }
    store<Address>(link, next);
    if (load<Address>(this.head(bin)) == 0) this.filled &= ~(1 << bin);
    return true;
  }
}

/** The bytes of a heap's runs, heads included. Bins are numbered from 1. */
export const FREE_RUNS_SIZE: u32 = offsetof<FreeRuns>() + LAST_BIN * sizeof<Address>();

/** The bin of the run from `start` to `end`. */
function binOf(start: Address, end: Address): u32 {
  return min(<u32>(end - start) >> GRANULE_SHIFT, LAST_BIN);
}

/** True if the run from `start` to `end` is all of its page. */
function isWholePage(start: Address, end: Address): bool {
  return end - start == ALL_GRANULES << GRANULE_SHIFT;
}

/** Where the run that begins at `start` ends; 0 if that has been written over. */
function endOf(start: Address): Address {
  const end = changetype<FreeRun>(start).end;
  const isTold = end > start && pageOf(end) == pageOf(start) && load<Address>(end - START_SIZE) == start;
  return isTold ? end : 0;
}

/** Where the run that ends at `end` begins; 0 if that has been written over. */
function startOf(end: Address): Address {
  const start = load<Address>(end - START_SIZE);
  const isTold = start < end && pageOf(start) == pageOf(end) && changetype<FreeRun>(start).end == end;
  return isTold ? start : 0;
}
