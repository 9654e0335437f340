// The types that the tests of collected heaps declare: what a type can look like to a collector, once each.

/** A reference slot, by its offset from the object's beginning, or from the element's in an array. */
export interface SlotShape {
  readonly offset: number;
  /** The index of the shape that it refers to. */
  readonly to: number;
}

export interface HeapShape {
  readonly name: string;
  readonly index: number;
  /** Of the object, or of an element of an array. */
  readonly bytes: number;
  readonly isArray: boolean;
  readonly isHooked: boolean;
  /** Those that may lead back to this type come first. */
  readonly strong: readonly SlotShape[];
  /** How many of the strong slots may lead back to this type. */
  readonly cyclic: number;
  readonly weak: readonly SlotShape[];
  /** Where the bytes lie that belong to no slot, as pairs of beginning and end. */
  readonly payload: readonly (readonly [number, number])[];
}

interface Declaration {
  readonly bytes: number;
  readonly isArray?: boolean;
  readonly isHooked?: boolean;
  readonly strong?: Readonly<Record<number, string>>;
  readonly weak?: Readonly<Record<number, string>>;
}

const wideSlots = Object.fromEntries(
  Array.from({ length: 64 }, (_, index) => [8 + 4 * index, index % 16 === 15 ? "leaf" : "wide"]),
);

const declarations: Readonly<Record<string, Declaration>> = {
  // Fixed types that cannot be part of a cycle.
  leaf: { bytes: 16 },
  tiny: { bytes: 1 },
  box: { bytes: 4, strong: { 0: "leaf" } },
  // Fixed types that refer to themselves, or to each other.
  node: { bytes: 32, strong: { 0: "node", 4: "node", 8: "leaf" } },
  left: { bytes: 16, strong: { 0: "right", 8: "node" } },
  right: { bytes: 24, strong: { 0: "left", 4: "right", 20: "left" } },
  wide: { bytes: 272, strong: wideSlots },
  // Above 8 KiB, and above a page.
  large: { bytes: 9000, strong: { 0: "node", 4: "large", 4500: "large", 8996: "leaf" } },
  huge: { bytes: 70_000, strong: { 0: "huge", 69996: "node" } },
  // With weak slots, and with hooks.
  watcher: { bytes: 24, strong: { 0: "watcher" }, weak: { 4: "node", 8: "watcher", 12: "hooked", 16: "nodes" } },
  hooked: { bytes: 24, isHooked: true, strong: { 0: "hooked", 4: "node" }, weak: { 8: "hooked", 12: "node" } },
  hookedLeaf: { bytes: 8, isHooked: true },
  hookedPair: { bytes: 16, isHooked: true, strong: { 0: "hookedPair", 4: "hookedPair" } },
  largeHooked: { bytes: 20_000, isHooked: true, strong: { 19996: "hooked" } },
  // Arrays: of numbers, of references, of structs.
  bytes: { bytes: 1, isArray: true },
  numbers: { bytes: 8, isArray: true },
  nodes: { bytes: 4, isArray: true, strong: { 0: "node" } },
  tree: { bytes: 16, strong: { 0: "forest", 4: "records" } },
  forest: { bytes: 4, isArray: true, strong: { 0: "tree" } },
  records: {
    bytes: 32,
    isArray: true,
    strong: { 8: "tree", 12: "node", 20: "hooked" },
    weak: { 16: "watcher", 24: "tree" },
  },
  weakNodes: { bytes: 4, isArray: true, weak: { 0: "node" } },
};

const names = Object.keys(declarations);

function slotsOf(slots: Readonly<Record<number, string>> = {}): SlotShape[] {
  return Object.entries(slots)
    .map(([offset, name]) => ({ offset: Number(offset), to: names.indexOf(name) }))
    .sort((one, other) => one.offset - other.offset);
}

/** The shapes that can be reached from each shape by strong slots: at least one step. */
const reached = names.map((_, from) => {
  const found = new Set<number>();
  const waiting = [from];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const { to } of slotsOf(declarations[names[next]!]!.strong)) {
      if (found.has(to)) continue;
      found.add(to);
      waiting.push(to);
    }
  }
  return found;
});

function payloadOf(bytes: number, slots: readonly SlotShape[]): [number, number][] {
  const gaps: [number, number][] = [];
  let from = 0;
  for (const { offset } of [...slots].sort((one, other) => one.offset - other.offset)) {
    if (offset > from) gaps.push([from, offset]);
    from = offset + 4;
  }
  if (bytes > from) gaps.push([from, bytes]);
  return gaps;
}

export const heapShapes: readonly HeapShape[] = names.map((name, index) => {
  const declaration = declarations[name]!;
  const strong = slotsOf(declaration.strong);
  const leadsBack = ({ to }: SlotShape) => reached[to]!.has(index);
  const sorted = [...strong.filter(leadsBack), ...strong.filter((slot) => !leadsBack(slot))];
  const weak = slotsOf(declaration.weak);
  return {
    name,
    index,
    bytes: declaration.bytes,
    isArray: declaration.isArray ?? false,
    isHooked: declaration.isHooked ?? false,
    strong: sorted,
    cyclic: strong.filter(leadsBack).length,
    weak,
    payload: payloadOf(declaration.bytes, [...strong, ...weak]),
  };
});

const byName = new Map(heapShapes.map((shape) => [shape.name, shape]));

export function heapShape(name: string): HeapShape {
  const found = byName.get(name);
  if (found === undefined) throw new Error(`there is no shape called ${name}`);
  return found;
}

/** The shapes that a random choice takes from, as often as they stand here: small ones are met most. */
export const usualShapes: readonly HeapShape[] = [
  ..."node node node node left right leaf box tiny wide watcher watcher hooked hooked hookedLeaf hookedPair hookedPair".split(
    " ",
  ),
  ..."bytes numbers nodes tree tree forest records weakNodes large huge largeHooked".split(" "),
].map(heapShape);
