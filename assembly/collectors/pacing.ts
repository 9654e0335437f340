// What the pacing of all strategies has in common. Why it keeps memory bounded is argued in markSweep.ts and refcount.ts.

/** What is due beyond a step is spread over as many gaps between events. */
export const HASTE: u32 = 8;

/** As many units as it takes. */
export const ALL: u32 = u32.MAX_VALUE;
