/** The most bytes of data, and what must lie beside the longest message. */
export const RING_BYTES_LIMIT = 2 ** 30;
export const FRAMING_BYTES = 8;

/** Offsets, in bytes, in the header of a message ring and its entries, and its limits, as constants that the engine can fold. */
export const Ring = {
  DATA: 0,
  CAPACITY: 4,
  HEAD: 8,
  FRAME: 12,
  TAIL: 20,
  WRAPPED: 24,
  ENTRIES: 32,
  COUNT: 40,
  TOO_LONG: 48,
  SKIP: 52,
  HIGH_WATER: 56,
  COUNT_HIGH_WATER: 60,
  PAGES: 64,
  MOVED: 72,
  ENTRY_LIST: 80,
  ENTRY_OFFSET: 0,
  ENTRY_LENGTH: 4,
  ENTRY_BYTES: 16,
  PREFIX_BYTES: 4,
  BYTES_LIMIT: RING_BYTES_LIMIT,
  FRAMING_BYTES,
} as const;

/** What framing answers in place of a slot. */
export const NOTHING_FRAMED = -1;
export const NO_ENTRY = -2;
export const TOO_LONG = -3;

/** What `validateMessageRing` found, by its number. */
export const VIOLATIONS: readonly string[] = [
  "nothing",
  "its pages have been given back",
  "its offsets are out of order",
  "its entries in use are not those that it counts",
  "its oldest message has been released, and is still there",
  "a message lies where none may",
];
