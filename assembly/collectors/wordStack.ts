// Word stacks: stacks of addresses in chunks, which grow without moving what is in them. Everything that a collector keeps lists
// of is one: handles of a scope, marked objects to be scanned, queued decrements, candidates.
//
//   chunk  ┌──────────┬──────┬─────┬──────┬──────┬ ─ ─ ┬──────┐
//          │ previous │ next │ top │  –   │ word │     │ word │
//          └──────────┴──────┴─────┴──────┴──────┴ ─ ─ ┴──────┘
//          0                              16                  4,352 (a small block)
//
// `top` of a chunk is kept up to date only while another lies above it. Words are pushed in pairs or one by one, never both
// on the same stack, so that a pair never lies in two chunks. Once it has a chunk, a stack keeps one.

import { Address } from "../memory/alignment";
import { allocateSmallBlock, freeSmallBlock, SMALL_BLOCK_SIZE } from "../memory/smallBlock";

@unmanaged
export class Chunk {
  /** The chunk below this one, and the one above it. */
  previous: Address;
  next: Address;
  /** Where the next word would go. */
  top: Address;
  unused: u32;
}
export const CHUNK_HEADER: u32 = offsetof<Chunk>();
export const CHUNK_WORDS: u32 = (SMALL_BLOCK_SIZE - CHUNK_HEADER) / 4;
if (CHUNK_WORDS & 1) ERROR("a chunk must hold whole pairs");

@unmanaged
export class WordStack {
  /** Where the next word goes, and where the words of the topmost chunk begin and end. All 0 while there is no chunk. */
  top: Address;
  base: Address;
  end: Address;
  /** The lowest chunk. */
  bottom: Address;
  /** The words in all chunks but the topmost. */
  below: u32;
  /** Chunks that are empty and not in the stack, linked by `next`. */
  spare: Address;

  @inline
  get isEmpty(): bool {
    return this.top == this.base && this.below == 0;
  }

  /** The words on the stack. O(1) */
  @inline
  get count(): u32 {
    return this.below + (<u32>(this.top - this.base) >> 2);
  }

  /** Pushes a word. Returns false, with a status, when memory is out; then nothing has changed. O(1) */
  @inline
  push(word: Address): bool {
    if (this.top == this.end && !this.addChunk()) return false;
    const top = this.top;
    store<Address>(top, word);
    this.top = top + 4;
    return true;
  }

  /** As {@link push}, for two words. */
  @inline
  pushPair(first: Address, second: u32): bool {
    if (this.top == this.end && !this.addChunk()) return false;
    const top = this.top;
    store<Address>(top, first);
    store<u32>(top, second, 4);
    this.top = top + 8;
    return true;
  }

  /** Takes the topmost word off; there must be one. O(1) */
  @inline
  pop(): Address {
    if (this.top == this.base) this.dropChunk();
    const top = this.top - 4;
    this.top = top;
    return load<Address>(top);
  }

  /** Takes the topmost pair off, of which there must be one, and returns where it lies: it is good until the next push. */
  @inline
  popPair(): Address {
    if (this.top == this.base) this.dropChunk();
    const top = this.top - 8;
    this.top = top;
    return top;
  }

  /** Takes a chunk out that is not needed here; 0 if there is none. */
  private spareChunk(): Address {
    let chunk = this.spare;
    if (chunk) {
      this.spare = changetype<Chunk>(chunk).next;
      return chunk;
    }
    if (!this.base || !this.isEmpty) return 0;
    chunk = this.chunk;
    this.top = 0;
    this.base = 0;
    this.end = 0;
    this.bottom = 0;
    return chunk;
  }

  get chunk(): Address {
    return this.base ? this.base - CHUNK_HEADER : 0;
  }

  private addChunk(): bool {
    let block = this.spare;
    if (block) this.spare = changetype<Chunk>(block).next;
    else block = allocateSmallBlock();
    if (!block) return false;
    const chunk = changetype<Chunk>(block);
    const below = this.chunk;
    chunk.previous = below;
    chunk.next = 0;
    if (below) {
      changetype<Chunk>(below).next = block;
      changetype<Chunk>(below).top = this.top;
      this.below += <u32>(this.top - this.base) >> 2;
    } else this.bottom = block;
    this.enter(block, block + CHUNK_HEADER);
    return true;
  }

  private enter(chunk: Address, top: Address): void {
    this.base = chunk + CHUNK_HEADER;
    this.end = chunk + SMALL_BLOCK_SIZE;
    this.top = top;
  }

  /**
   * Leaves the topmost chunk, which is empty, for the next that is not. One is kept, so that a stack at the edge does not take
   * and give in turn.
   */
  private dropChunk(): void {
    do {
      const chunk = this.chunk;
      const below = changetype<Chunk>(chunk).previous;
      if (this.spare) freeSmallBlock(chunk);
      else {
        changetype<Chunk>(chunk).next = 0;
        this.spare = chunk;
      }
      changetype<Chunk>(below).next = 0;
      const top = changetype<Chunk>(below).top;
      this.enter(below, top);
      this.below -= <u32>(top - this.base) >> 2;
    } while (this.top == this.base && this.below);
  }

  /** Makes sure that one more word, or pair, can be pushed. Returns false, with a status, when memory is out. O(1) */
  reserveOne(): bool {
    if (this.top != this.end || this.spare) return true;
    const block = allocateSmallBlock();
    if (!block) return false;
    changetype<Chunk>(block).next = 0;
    this.spare = block;
    return true;
  }

  /** Takes words off until `count` are left, of which there must be as many. O(chunks) */
  truncate(count: u32): void {
    while (this.below > count) {
      this.top = this.base;
      this.dropChunk();
    }
    this.top = this.base + ((count - this.below) << 2);
  }

  /** The same, a chunk at a time: returns false while there is more to be done. O(1) */
  shorten(count: u32): bool {
    if (this.below <= count) {
      this.truncate(count);
      return true;
    }
    this.top = this.base;
    this.dropChunk();
    return false;
  }

  /** Empties the stack; keeps one chunk if it has any. O(chunks) */
  clear(): void {
    if (this.base) this.truncate(0);
    this.freeSpare(this.base ? 0 : 1);
  }

  /** Gives back all spare chunks but `kept` of them, 0 or 1. */
  private freeSpare(kept: u32): void {
    while (this.spare) {
      const spare = this.spare;
      const next = changetype<Chunk>(spare).next;
      if (kept && !next) return;
      this.spare = next;
      freeSmallBlock(spare);
    }
  }

  /** Empties the stack and gives back all it has. O(chunks) */
  release(): void {
    this.clear();
    this.freeSpare(0);
    if (this.base) freeSmallBlock(this.chunk);
    memory.fill(changetype<Address>(this), 0, offsetof<WordStack>());
  }

  /**
   * Moves all that is in `other` here, which keeps a chunk: its words are copied where they fit into the topmost chunk here, or else
   * its chunks come below what is here, and it is left with one that is empty, if there is such a one. Cannot fail. O(1)
   */
  absorb(other: WordStack): void {
    if (!other.base) return;
    const bytes = other.top - other.base;
    if (!other.below && this.base && bytes <= this.end - this.top) {
      memory.copy(this.top, other.base, bytes);
      this.top += bytes;
      other.top = other.base;
      return;
    }
    if (!other.spare) {
      other.spare = this.spareChunk();
      if (other.spare) changetype<Chunk>(other.spare).next = 0;
    }
    if (!this.base) {
      this.top = other.top;
      this.base = other.base;
      this.end = other.end;
      this.bottom = other.bottom;
      this.below = other.below;
    } else {
      const lower = other.chunk;
      const own = changetype<Chunk>(this.bottom);
      changetype<Chunk>(lower).top = other.top;
      changetype<Chunk>(lower).next = this.bottom;
      own.previous = lower;
      this.bottom = other.bottom;
      this.below += other.count;
    }
    other.top = 0;
    other.base = 0;
    other.end = 0;
    other.bottom = 0;
    other.below = 0;
  }
}
export const WORD_STACK_BYTES: u32 = offsetof<WordStack>();

/** A walk over a stack from its bottom; what is pushed meanwhile is met too. */
@unmanaged
export class WordWalk {
  chunk: Address;
  place: Address;

  start(stack: WordStack): void {
    this.chunk = stack.bottom;
    this.place = stack.bottom + CHUNK_HEADER;
  }

  /** Where the next word lies, or 0 if there is none (yet). Amortized O(1) */
  next(stack: WordStack): Address {
    if (!this.chunk) this.start(stack);
    if (!this.chunk) return 0;
    while (this.chunk != stack.chunk && this.place == changetype<Chunk>(this.chunk).top) {
      this.chunk = changetype<Chunk>(this.chunk).next;
      this.place = this.chunk + CHUNK_HEADER;
    }
    const place = this.place;
    if (this.chunk == stack.chunk && place == stack.top) return 0;
    this.place = place + 4;
    return place;
  }
}
export const WORD_WALK_BYTES: u32 = offsetof<WordWalk>();
