// Size classes: what a byte heap knows of its small blocks, class by class.
//
// The blocks that were freed last are handed out first, since their memory is in the processor's cache. Their bits say that
// they are free, like those of all others, so that the list of these warm blocks is a hint that can be dropped at any time;
// but while there is one, blocks of the class come from it and nowhere else.
//
// Source: Bonwick and Adams, "Magazines and vmem" (2001).

import { Address } from "../memory/alignment";
import { joinRing, leaveRing } from "../memory/ring";
import { countStep } from "../memory/work";
import { freeSpan, Span, SpanPages, spanOf, UNLISTED } from "./span";

/** The most warm blocks of a class. */
const WARM_LIMIT: u32 = 14;

/** Spans that have become full in their ring are taken out where they are met, but no more than this in one operation. */
export const LOOK_LIMIT: u32 = 64;

@unmanaged
export class SizeClass {
  /** A ring of spans: all that have a free block, and some that have become full in it. */
  ring: Address;
  /** How many warm blocks there are; their addresses follow. */
  warmCount: u32;

  @inline
  warmAt(index: u32): Address {
    return load<Address>(changetype<Address>(this) + (index << 2), offsetof<SizeClass>());
  }

  /** Takes the block that was freed last. There must be one. */
  @inline
  takeWarm(): Address {
    const last = this.warmCount - 1;
    this.warmCount = last;
    const block = this.warmAt(last);
    const span = spanOf(block);
    span.take(span.knownIndexOf(block));
    return block;
  }

  /** Takes note of a block that has just been freed, if there is room. */
  @inline
  giveWarm(block: Address): void {
    const count = this.warmCount;
    if (count >= WARM_LIMIT) return;
    store<Address>(changetype<Address>(this) + (count << 2), block, offsetof<SizeClass>());
    this.warmCount = count + 1;
  }
}

/** The bytes of a class, its warm blocks included. */
export const CLASS_SIZE: u32 = offsetof<SizeClass>() + WARM_LIMIT * sizeof<Address>();

/**
 * Takes a block from the bitmaps, or returns 0 if none of the first `limit` spans of the ring has one. There are no warm
 * blocks, so that every bit means what it says. Each full span that is met was put there by a free.
 */
export function takeFromRing(sizeClass: SizeClass, limit: u32): Address {
  for (let looked: u32 = 0; sizeClass.ring && looked < limit; looked++) {
    countStep();
    const span = changetype<Span>(sizeClass.ring);
    if (!span.isFull) return span.takeLowest();
    unlist(sizeClass, span);
  }
  return 0;
}

/** What a free has made of a span: one with room again, or one that is empty and goes back if its class has another. */
export function settle(pages: SpanPages, sizeClass: SizeClass, span: Span): void {
  if (!span.isListed) list(sizeClass, span);
  if (span.isEmpty && span.next != changetype<Address>(span)) removeSpan(pages, sizeClass, span);
}

/** Gives an empty span back. */
export function removeSpan(pages: SpanPages, sizeClass: SizeClass, span: Span): void {
  sizeClass.warmCount = 0;
  unlist(sizeClass, span);
  freeSpan(pages, changetype<Address>(span));
}

/** Puts a span into the ring of its class, at its end: until its turn comes it may gather more free blocks. */
export function list(sizeClass: SizeClass, span: Span): void {
  span.used -= UNLISTED;
  joinRing(changetype<Address>(sizeClass) + offsetof<SizeClass>("ring"), changetype<Address>(span));
}

function unlist(sizeClass: SizeClass, span: Span): void {
  span.used += UNLISTED;
  leaveRing(changetype<Address>(sizeClass) + offsetof<SizeClass>("ring"), changetype<Address>(span));
}
