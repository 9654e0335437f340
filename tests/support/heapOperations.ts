import fc from "fast-check";
import { BAD_ADDRESSES, type BadAddress, type HeapModel } from "./heapModel.js";
import { heapSize, randomHeapSize } from "./heapSizes.js";
import type { RandomNumbers } from "./randomNumbers.js";

/** One call of a byte heap; `pick` chooses among the blocks that are in use then. */
export type HeapOperation =
  | { readonly type: "allocate" | "allocateZeroed" | "bytes"; readonly size: number }
  | { readonly type: "allocateAligned"; readonly size: number; readonly alignment: number }
  | { readonly type: "reallocate"; readonly pick: number; readonly size: number }
  | { readonly type: "free" | "usableSize"; readonly pick: number }
  | { readonly type: "allocateMany"; readonly size: number; readonly count: number }
  | { readonly type: "freeMany"; readonly count: number }
  | { readonly type: "trim" }
  | { readonly type: "refuse"; readonly kind: BadAddress; readonly pick: number };

const pick = fc.nat(1_000_000);
const alignment = fc.integer({ min: 0, max: 12 }).map((power) => 2 ** power);

/** Operations for lists that shrink to the shortest that fails. */
export const heapOperation: fc.Arbitrary<HeapOperation> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ type: fc.constant("allocate" as const), size: heapSize }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("allocateAligned" as const), size: heapSize, alignment }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("allocateZeroed" as const), size: heapSize }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("bytes" as const), size: heapSize }) },
  { weight: 5, arbitrary: fc.record({ type: fc.constant("reallocate" as const), pick, size: heapSize }) },
  { weight: 9, arbitrary: fc.record({ type: fc.constant("free" as const), pick }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("usableSize" as const), pick }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("allocateMany" as const),
      size: heapSize.map((size) => Math.min(size, 3000)),
      count: fc.nat(40),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("freeMany" as const), count: fc.nat(40) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("trim" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("refuse" as const), kind: fc.constantFrom(...BAD_ADDRESSES), pick }),
  },
);

export function applyOperation(model: HeapModel, operation: HeapOperation): void {
  const block = "pick" in operation ? model.picked(operation.pick) : undefined;
  switch (operation.type) {
    case "allocate":
    case "allocateZeroed":
    case "bytes":
      model[operation.type](operation.size);
      break;
    case "allocateAligned":
      model.allocateAligned(operation.size, operation.alignment);
      break;
    case "reallocate":
      if (block !== undefined) model.reallocate(block, operation.size);
      break;
    case "free":
    case "usableSize":
      if (block !== undefined) model[operation.type](block);
      break;
    case "allocateMany":
      model.allocateMany(operation.size, operation.count);
      break;
    case "freeMany":
      model.freeMany(operation.count);
      break;
    case "trim":
      model.trim();
      break;
    case "refuse":
      model.refuseNear(operation.kind, operation.pick);
      break;
  }
}

/** One random operation, such that about `target` blocks are in use in the long run. */
export function randomStep(model: HeapModel, random: RandomNumbers, target: number, bulk = 60): void {
  const kind = random.below(1000);
  const block = model.picked(random.below(1_000_000));
  const isLow = model.blocks.length < target;
  if (kind < 450) {
    if (isLow || block === undefined) model.allocate(randomHeapSize(random, bulk));
    else model.free(block);
  } else if (kind < 750) {
    if (block !== undefined) model.free(block);
    else model.allocate(randomHeapSize(random, bulk));
  } else if (kind < 900) {
    if (block !== undefined) model.reallocate(block, randomHeapSize(random, bulk));
  } else if (kind < 930) {
    model.allocateAligned(randomHeapSize(random, bulk), 2 ** random.below(13));
  } else if (kind < 950) {
    model.allocateZeroed(randomHeapSize(random, bulk));
  } else if (kind < 965) {
    model.bytes(randomHeapSize(random, bulk));
  } else if (kind < 985) {
    model.refuseNear(random.pick(BAD_ADDRESSES), random.below(1_000_000));
  } else if (kind < 993) {
    if (block !== undefined) model.usableSize(block);
  } else if (kind < 996) {
    model.allocateMany(random.between(1, 600), random.below(60));
  } else if (kind < 999) {
    model.freeMany(random.below(60));
  } else {
    model.trim();
  }
}
