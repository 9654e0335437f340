/** The largest key and value, in bytes. */
export const KEY_LIMIT = 64;
export const VALUE_LIMIT = 1024;

/** Offsets, in bytes, in a sorted map's header and in its nodes, and its limits, as constants that the engine can fold. */
export const Layout = {
  SIZE: 0,
  HEIGHT: 8,
  FIRST: 12,
  LAST: 16,
  GUARD: 20,
  GENERATION: 24,
  INDEX: 32,
  VALUES_OFFSET: 52,
  NODES: 72,
  RUN_BYTES: 100,
  VALUE_SLOT: 104,
  KEY_SLOT: 128,
  SHOWN_KEY: 192,
  KEY_FIELDS: 516,
  NODE_NEXT: 0,
  NODE_PREVIOUS: 4,
  NODE_COUNT: 8,
  NODE_HEADER: 16,
  KEY_LIMIT,
  VALUE_LIMIT,
} as const;

/** Which neighbour of a key is meant, as `assembly/` numbers them. */
export const Neighbour = { BELOW: 0, AT_OR_BELOW: 1, AT_OR_ABOVE: 2, ABOVE: 3 } as const;
export type Neighbour = (typeof Neighbour)[keyof typeof Neighbour];

/** What a set did, as `assembly/` numbers it. */
export const Setting = { REFUSED: 0, UPDATED: 1, INSERTED: 2 } as const;

/** What a delete did, as `assembly/` numbers it. */
export const Deletion = { REFUSED: 0, ABSENT: 1, DELETED: 2 } as const;

/** What `validateSortedMap` found, by its number. */
export const VIOLATIONS: readonly string[] = [
  "nothing",
  "its guard is not its own",
  "its runs of pages do not add up",
  "a child, a link or a free node is no node of the map",
  "a node is on the wrong level",
  "a node holds too little or too much",
  "keys are out of order",
  "leaves are not linked in order",
  "the leaves do not hold as many entries as the map counts",
  "nodes in use, free and unused are not all there are",
  "its free list is broken",
];
