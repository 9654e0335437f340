/** Slots lie in segments of 2^13, and are below 2^23; generations are below 2^29. */
export const SEGMENT_SHIFT = 13;
export const SEGMENT_MASK = 2 ** SEGMENT_SHIFT - 1;
export const SLOTS = 2 ** 23;

/** Offsets, in bytes, in the header of a timing wheel, and what its slots are, as constants that the engine can fold. */
export const Wheel = {
  ARMS: 0,
  FIRED: 8,
  CANCELLED: 16,
  WAKE: 24,
  CURRENT: 32,
  GENERATION: 40,
  ARMED: 44,
  HIGH_WATER: 48,
  PAGES: 72,
  SEGMENT_SHIFT,
  SLOTS,
} as const;

/**
 * The longest delay in milliseconds, and the latest clock reading, counted from when the wheel was made: some 4,460 years.
 * Together they stay below 2^48, where the wheel ends.
 */
export const TICK_LIMIT = 2 ** 47 - 1;

/** What `validateWheel` found, by its number. */
export const VIOLATIONS: readonly string[] = [
  "nothing",
  "a segment has been given back",
  "a link leads to what is no timer",
  "links do not lead back",
  "a list's bit does not say whether it holds something",
  "a timer lies where its time does not belong",
  "the lists do not hold as many timers as are armed",
  "its free list is broken",
  "timers armed, fired and cancelled do not add up",
];
