// Boundary tags: the headers of large blocks, and the bins of those that are free.
//
//   block    ┌──────────┬─────────────┬──────┬────────────────────────── ─ ─ ┐
//            │ previous │ size │ free │ heap │ content                       │
//            └──────────┴─────────────┴──────┴────────────────────────── ─ ─ ┘
//            −12        −8            −4     0   a multiple of 16
//   free     the content begins with the links of its bin: next, previous
//
// `previous` is the block that lies before this one. It says the same as that block's size, and what says the same twice
// can be held against each other: a block is freed only if both its neighbours agree that it begins and ends there.
// Nothing else passes: whenever a block is merged into the one before it, that has another size and the block behind is
// told so, and the header left inside is one that at most one other such header agrees with.
//
// Bins are those of TLSF: a first level by powers of two, a second that divides each into 32. A search takes the first
// bin all of whose blocks are large enough, found by two bit scans.
//
// Source: Knuth, TAOCP 1, 2.5, algorithm C, "boundary tags" (1968); Masmano, Ripoll, Crespo, Real, "TLSF: a new dynamic
// memory allocator for real-time systems" (2004).

import { Address } from "../memory/alignment";
import { countStep } from "../memory/work";

/** Sizes, headers included, are multiples of this. */
export const BLOCK_GRAIN: u32 = 16;

/** The header ends where the content begins, at a multiple of 16, so that it begins at one less 12. */
export const TAG_SIZE: u32 = 12;

/** Header and links. */
export const BLOCK_MINIMUM: u32 = 32;

const FREE_BIT: u32 = 1;

@unmanaged
export class TaggedBlock {
  /** The block before this one; 0 for the first of its area. */
  previous: Address;
  /** The bytes of the whole block, and in the lowest bit whether it is free. The block that ends an area has 0. */
  tag: u32;
  /** The heap that it belongs to. */
  heap: Address;
  nextFree: Address;
  /** Where the address of this block is kept: in the `nextFree` before it in its bin, or in the bin's head. */
  link: Address;

  @inline
  get size(): u32 {
    return this.tag & ~FREE_BIT;
  }

  @inline
  get isFree(): bool {
    return (this.tag & FREE_BIT) != 0;
  }

  /** The block behind this one. */
  @inline
  get next(): TaggedBlock {
    return changetype<TaggedBlock>(changetype<Address>(this) + this.size);
  }
}
if (offsetof<TaggedBlock>("nextFree") != TAG_SIZE) ERROR("content must follow the tag");
if (offsetof<TaggedBlock>() > BLOCK_MINIMUM) ERROR("a free block must have room for its links");

/** The size of a block for `bytes` of content; `bytes` is at most SIZE_LIMIT, so that no sum overflows. */
export function blockSizeFor(bytes: u32): u32 {
  return max((bytes + (TAG_SIZE + BLOCK_GRAIN - 1)) & ~(BLOCK_GRAIN - 1), BLOCK_MINIMUM);
}

/** Each power of two is divided into 32 bins; below 1,024 bytes every size has a bin of its own. */
const SECOND_SHIFT: u32 = 5;
const SECOND_COUNT: u32 = 1 << SECOND_SHIFT;
/** Sizes below this are in the first row, BLOCK_GRAIN apart: 512. */
const LINEAR_SHIFT: u32 = 9;
const ROWS: u32 = 32 - LINEAR_SHIFT + 1;
export const BIN_COUNT: u32 = ROWS * SECOND_COUNT;
if (1 << LINEAR_SHIFT != SECOND_COUNT * BLOCK_GRAIN) ERROR("the first row must end where the second begins");

/**
 * The bins of one heap: a bit for each row that may have a block, a word of bits for each row, and the lists.
 *
 * Half of all blocks have a free neighbour, at random, so that a branch on that is mispredicted every other time, and
 * costs more than the work. Nothing here branches on it: where there is no block to remove, {@link nobody} is removed,
 * where there is none to be told of a change, a word is written that nobody reads, and a bin that has become empty keeps
 * its bit until a search meets it (benchmark case heap/mixed: 11 % more operations, heap/reallocating: 18 %).
 */
@unmanaged
export class Bins {
  rows: u32;

  /** Puts a free block into its bin. */
  @inline
  insert(block: TaggedBlock): void {
    const bin = binOf(block.size);
    const head = this.head(bin);
    const first = load<Address>(head);
    block.nextFree = first;
    block.link = head;
    this.orUnread(first).link = changetype<Address>(block) + offsetof<TaggedBlock>("nextFree");
    store<Address>(head, changetype<Address>(block));
    const row = this.row(bin >> SECOND_SHIFT);
    store<u32>(row, load<u32>(row) | (1 << (bin & (SECOND_COUNT - 1))));
    this.rows |= 1 << (bin >> SECOND_SHIFT);
  }

  /** Takes a free block out of its bin. */
  @inline
  remove(block: TaggedBlock): void {
    const next = block.nextFree;
    const link = block.link;
    store<Address>(link, next);
    this.orUnread(next).link = link;
  }

  /** Takes `block` out of its bin if it is free. Returns its size then, otherwise 0. */
  @inline
  removeIfFree(block: TaggedBlock): u32 {
    const isFree = block.isFree;
    this.remove(changetype<TaggedBlock>(select<Address>(changetype<Address>(block), this.nobody, isFree)));
    return select<u32>(block.size, 0, isFree);
  }

  /** A free block of at least `size` bytes, still in its bin, or 0. O(1): at most a step for each bin. */
  @inline
  find(size: u32): Address {
    // All blocks of the bins after the one that `size` less 1 falls into are large enough.
    const own = binOf(size - 1);
    const row = own >> SECOND_SHIFT;
    const bits = load<u32>(this.row(row)) & ((<u32>-2) << (own & (SECOND_COUNT - 1)));
    if (bits) {
      const block = load<Address>(this.head((row << SECOND_SHIFT) + <u32>ctz(bits)));
      const near = load<Address>(this.head(binOf(size)));
      if (block) return select<Address>(near, block, changetype<TaggedBlock>(near).size >= size);
    }
    return this.findSlow(size, own);
  }

  /** As {@link find}, taken out of its bin. */
  @inline
  takeFit(size: u32): Address {
    const block = this.find(size);
    if (block) this.remove(changetype<TaggedBlock>(block));
    return block;
  }

  private findSlow(size: u32, own: u32): Address {
    let row = own >> SECOND_SHIFT;
    let bits = load<u32>(this.row(row)) & ((<u32>-2) << (own & (SECOND_COUNT - 1)));
    while (true) {
      while (bits) {
        countStep();
        const bin = (row << SECOND_SHIFT) + <u32>ctz(bits);
        const block = load<Address>(this.head(bin));
        if (block) return block;
        bits &= bits - 1;
        this.forget(bin);
      }
      countStep();
      const rows = this.rows & ((<u32>-2) << row);
      if (!rows) break;
      row = <u32>ctz(rows);
      bits = load<u32>(this.row(row));
    }
    // The bin that `size` falls into is the last hope: its first block may happen to be large enough.
    const first = load<Address>(this.head(binOf(size)));
    return first && changetype<TaggedBlock>(first).size >= size ? first : 0;
  }

  /** Clears the bit of a bin that is empty. */
  private forget(bin: u32): void {
    const row = this.row(bin >> SECOND_SHIFT);
    const bits = load<u32>(row) & ~(1 << (bin & (SECOND_COUNT - 1)));
    store<u32>(row, bits);
    if (!bits) this.rows &= ~(1 << (bin >> SECOND_SHIFT));
  }

  /** Stands for a block where there is none to remove: it is in no bin, and its link leads to itself. */
  @inline
  private get nobody(): Address {
    return changetype<Address>(this) + NOBODY;
  }

  /** `block`, or where there is none, something whose link is written and never read. */
  @inline
  private orUnread(block: Address): TaggedBlock {
    return changetype<TaggedBlock>(select<Address>(block, changetype<Address>(this) + UNREAD, block != 0));
  }

  /** To be called once, in cleared memory. */
  prepare(): void {
    changetype<TaggedBlock>(this.nobody).link = this.nobody + offsetof<TaggedBlock>("nextFree");
  }

  /** True if a search would look into `bin`. */
  isMarked(bin: u32): bool {
    const row = bin >> SECOND_SHIFT;
    return ((this.rows >> row) & (load<u32>(this.row(row)) >> (bin & (SECOND_COUNT - 1))) & 1) != 0;
  }

  @inline
  private row(row: u32): Address {
    return changetype<Address>(this) + offsetof<Bins>() + (row << 2);
  }

  @inline
  head(bin: u32): Address {
    return changetype<Address>(this) + offsetof<Bins>() + ROWS * 4 + (bin << 2);
  }
}

const NOBODY: u32 = offsetof<Bins>() + ROWS * 4 + BIN_COUNT * 4;
/** Placed so that its link is the word behind {@link NOBODY}. */
const UNREAD: u32 = NOBODY + sizeof<Address>();
/** The bytes of a heap's bins. */
export const BINS_SIZE: u32 = UNREAD + offsetof<TaggedBlock>();

/** The bin of blocks of `size` bytes. */
export function binOf(size: u32): u32 {
  if (size < 1 << LINEAR_SHIFT) return size / BLOCK_GRAIN;
  const power = 31 - <u32>clz(size);
  return ((power - LINEAR_SHIFT + 1) << SECOND_SHIFT) + ((size >> (power - SECOND_SHIFT)) & (SECOND_COUNT - 1));
}
