// Peak: how the drivers follow what an allocator has in hand, at the same cost for each of them.

/** What an allocator has taken is read when the live bytes have grown by 1/128 since, … */
const GROWTH_SHIFT: u32 = 7;
/** … and at one step in 64. */
const STEP_MASK: u32 = 63;

@unmanaged
export class Peak {
  /** The most payload bytes that were live at once. */
  peakLive: u32;
  /** The most bytes that the allocator had taken from below, as far as it was looked at. */
  peakTaken: u32;
  /** The live bytes at which it is looked at again. */
  nextLook: u32;

  clear(): void {
    this.peakLive = 0;
    this.peakTaken = 0;
    this.nextLook = 0;
  }

  /** To be called after each allocation. */
  @inline
  follow<S>(strategy: S, live: u32, step: u32): void {
    if (live > this.peakLive) this.peakLive = live;
    if (live > this.nextLook || (step & STEP_MASK) == 0) {
      this.nextLook = max(this.nextLook, live + (live >> GROWTH_SHIFT));
      this.peakTaken = max(this.peakTaken, strategy.taken());
    }
  }
}
