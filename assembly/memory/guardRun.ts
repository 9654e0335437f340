// Guard runs: guards in a row, one for each cell of a slab.
//
// The generation of a cell is odd while the cell is in use. Taking it and giving it back both add one, so that every ref
// made before fails its check, and the lowest bit tells an iteration what lives. Like all guards they are never used for
// anything else, also when the slab's own memory has gone to someone else: a run that is given back waits, with its
// generations, for a slab of as many cells. One in which a guard has been retired waits for nobody: a slab that took it would have
// fewer cells than it was made for.
//
//   run   ┌───────────┬──────────┬────────────┬────────────┬ ─ ─
//         │ next free │ capacity │ generation │ generation │
//         └───────────┴──────────┴────────────┴────────────┴ ─ ─
//                                0            4              a cell's guard is found by its number

import { Address, PAGE_SIZE } from "./alignment";
import { allocatePages, Owner } from "./pageHeap";
import { GUARD_RUN_KINDS, ROOT, Root, root } from "./root";

@unmanaged
class GuardRun {
  /** Of a run in use, {@link WORN} once one of its guards has been retired, else 0. */
  nextFree: Address;
  /** The generations that it has room for. */
  capacity: u32;
}
const HEADER: u32 = offsetof<GuardRun>();
const WORN: Address = 1;

/** A cell whose generation has come to this is not used again: the next one would be the last before the count wraps. */
export const RETIRED_CELL: u32 = u32.MAX_VALUE - 1;

/** The longest run fills a page; those of up to 8 words have the same size. */
const WORDS_LIMIT: u32 = PAGE_SIZE / 4;
const WORDS_SHIFT: u32 = 3;
const HEADER_WORDS: u32 = HEADER / 4;
if (WORDS_SHIFT < 3)
  ERROR("a quarter of every power of two must be even, so that runs stay aligned to 8, as their pages are");

/**
 * The words of runs, with their headers, are 8, 10, 12, 14, 16, 20, …: four sizes for each power of two, so that few differ,
 * at most a fifth is unused, and those of a power of two, which the slabs of the smallest cells need, fill a page.
 */
function kindOf(count: u32): u32 {
  const words = count + HEADER_WORDS;
  if (words <= 1 << WORDS_SHIFT) return 0;
  const power = 31 - <u32>clz(words - 1);
  return ((power - WORDS_SHIFT) << 2) + (((words - 1) >> (power - 2)) & 3) + 1;
}

function capacityOf(kind: u32): u32 {
  const power = kind >> 2;
  return ((4 + (kind & 3)) << (power + WORDS_SHIFT - 2)) - HEADER_WORDS;
}

/** Returns the first of `count` guards, all even, or 0 with a status when memory is out. O(1), O(count) for new ones */
export function allocateGuardRun(count: u32): Address {
  const kind = kindOf(count);
  const head = headOf(kind);
  const free = load<Address>(head);
  if (free) {
    store<Address>(head, changetype<GuardRun>(free).nextFree);
    changetype<GuardRun>(free).nextFree = 0;
    return free + HEADER;
  }
  const bytes = HEADER + capacityOf(kind) * 4;
  const state = root();
  if (<u32>(state.guardRunLimit - state.guardRunCursor) < bytes) {
    const page = allocatePages(1, Owner.GUARDS);
    if (!page) return 0;
    state.guardRunCursor = page;
    state.guardRunLimit = page + PAGE_SIZE;
  }
  const run = state.guardRunCursor;
  state.guardRunCursor += bytes;
  changetype<GuardRun>(run).nextFree = 0;
  changetype<GuardRun>(run).capacity = capacityOf(kind);
  memory.fill(run + HEADER, 0, bytes - HEADER);
  return run + HEADER;
}

/** The pages that `runs` more runs of `count` guards would take, beside what is free already. O(runs) */
export function guardPagesFor(count: u32, runs: u32): u32 {
  const kind = kindOf(count);
  const state = root();
  const bytes = HEADER + capacityOf(kind) * 4;
  for (let free = load<Address>(headOf(kind)); free && runs; free = changetype<GuardRun>(free).nextFree) runs--;
  runs -= min(runs, <u32>(state.guardRunLimit - state.guardRunCursor) / bytes);
  const inPage = PAGE_SIZE / bytes;
  return (runs + inPage - 1) / inPage;
}

/** Notes that one of the run's guards has been retired. */
export function wearGuardRun(first: Address): void {
  changetype<GuardRun>(first - HEADER).nextFree = WORN;
}

/** Takes a run back; every generation in it must be even. It is left alone for good if one of them is retired. O(1) */
export function freeGuardRun(first: Address): void {
  const run = first - HEADER;
  if (changetype<GuardRun>(run).nextFree == WORN) return;
  const head = headOf(kindOf(changetype<GuardRun>(run).capacity));
  changetype<GuardRun>(run).nextFree = load<Address>(head);
  store<Address>(head, run);
}

function headOf(kind: u32): Address {
  return ROOT + offsetof<Root>() + (kind << 2);
}

if (4 << (((GUARD_RUN_KINDS - 1) >> 2) + WORDS_SHIFT - 2) < <i32>WORDS_LIMIT) {
  ERROR("the longest run must have a list");
}
