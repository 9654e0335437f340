import fc from "fast-check";
import { type HeapShape, heapShapes, usualShapes } from "./collectorShapes.js";
import { RandomNumbers } from "./randomNumbers.js";
import type { ShadowHeap } from "./shadowHeap.js";
import { type ShadowObject, slotCount, slotTarget, weakCount, weakTarget } from "./shadowObject.js";

const kinds = [
  ...["allocate", "allocateLinked", "openScope", "endScope", "push", "keep", "release", "move"],
  ...["store", "storeNothing", "load", "storeWeak", "loadWeak", "drop", "churn"],
  ...["step", "settle", "beginCycle", "collect"],
] as const;
type Kind = (typeof kinds)[number];

/** One call of a collected heap, or a few; `pick` is the seed of what it chooses among. */
export interface ShadowOperation {
  readonly kind: string;
  readonly pick: number;
  readonly shape: number;
  readonly length: number;
  readonly units: number;
}

const WEIGHTS: Readonly<Record<string, number>> = {
  allocate: 10,
  allocateLinked: 24,
  openScope: 3,
  endScope: 4,
  push: 5,
  keep: 2,
  release: 2,
  move: 4,
  store: 20,
  storeNothing: 6,
  load: 2,
  storeWeak: 6,
  loadWeak: 5,
  drop: 3,
  churn: 1,
  step: 20,
  settle: 2,
  beginCycle: 3,
  collect: 1,
};
const weighted: readonly string[] = Object.entries(WEIGHTS).flatMap(([kind, weight]) =>
  Array.from({ length: weight }, () => kind),
);
/** What a hook may do: everything but what would collect, or end more than it has begun. */
const inHooks = weighted.filter((kind) => !["step", "settle", "beginCycle", "collect", "churn"].includes(kind));

const arrayLength = fc.oneof(
  { weight: 30, arbitrary: fc.nat(8) },
  { weight: 6, arbitrary: fc.integer({ min: 9, max: 400 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1000, max: 30_000 }) },
);
const units = fc.oneof(
  { weight: 6, arbitrary: fc.constant(1) },
  { weight: 6, arbitrary: fc.integer({ min: 2, max: 12 }) },
  { weight: 2, arbitrary: fc.integer({ min: 13, max: 400 }) },
);

/** Operations for lists that shrink to the shortest that fails. */
export const shadowOperation: fc.Arbitrary<ShadowOperation> = fc.record({
  kind: fc.constantFrom(...weighted),
  pick: fc.nat(1_000_000),
  shape: fc.nat(usualShapes.length - 1),
  length: arrayLength,
  units,
});

/** The next of a random run, by the same weights. */
export function randomOperation(random: RandomNumbers): ShadowOperation {
  const lengths = [random.below(9), random.below(9), random.below(9), random.below(100), random.below(400)];
  return {
    kind: random.pick(weighted),
    pick: random.below(1_000_000),
    shape: random.below(usualShapes.length),
    length: random.below(300) === 0 ? random.below(30_000) : random.pick(lengths),
    units: random.below(3) === 0 ? 1 : random.between(1, 60),
  };
}

/** Some operations in a hook, for {@link ShadowOptions.inHook}. */
export function randomHook(random: RandomNumbers): (model: ShadowHeap, dying: ShadowObject) => void {
  return (model) => {
    for (let count = random.below(5); count > 0; count--) {
      applyOperation(model, { ...randomOperation(random), kind: random.pick(inHooks) });
    }
  };
}

/** Elements of structs and numbers are larger, so that there are fewer of them. */
function lengthFor(shape: HeapShape, length: number): number {
  return length > 400 ? Math.ceil((length * 8) / shape.bytes) : length;
}

function storeInto(model: ShadowHeap, random: RandomNumbers, object: ShadowObject, value: ShadowObject): void {
  const wanted: number[] = [];
  const count = slotCount(object);
  // In long arrays, some places anywhere.
  const from = count > 100 ? random.below(count - 20) : 0;
  for (let index = from; index < Math.min(count, from + 100); index++) {
    if (slotTarget(object, index) === value.shape) wanted.push(index);
  }
  if (wanted.length > 0) model.store(object, random.pick(wanted), value, random.below(2) === 0);
}

const refersTo = (shape: HeapShape) => (object: ShadowObject) =>
  slotCount(object) > 0 && object.shape.strong.some(({ to }) => heapShapes[to] === shape);

export function applyOperation(model: ShadowHeap, operation: ShadowOperation): void {
  const random = new RandomNumbers(operation.pick * 2 + 1);
  for (let count = 0; count < 3; count++) random.below(2);
  const shape = usualShapes[operation.shape]!;
  const length = lengthFor(shape, operation.length);
  /** In a hook, what dies may be read and written, but a handle for it would revive it. */
  const pickHoldable = () => {
    const object = model.pickObject(random);
    return object === undefined || (model.dying !== undefined && !model.reachable().has(object)) ? undefined : object;
  };
  switch (operation.kind as Kind) {
    case "allocate":
    case "allocateLinked": {
      const scope = model.pickScope(random);
      if (scope === undefined) break;
      const object = model.allocate(shape, length, scope)?.target;
      if (object === undefined || operation.kind === "allocate") break;
      const holder = model.pickWanted(random, (other) => other !== object && refersTo(shape)(other));
      if (holder !== undefined) storeInto(model, random, holder, object);
      // And something that is there already into the new one: what was white into what is black.
      if (slotCount(object) > 0 && random.below(2) === 0) {
        const index = random.below(slotCount(object));
        const value = model.pickWanted(random, (other) => other.shape === slotTarget(object, index));
        if (value !== undefined) model.store(object, index, value, random.below(2) === 0);
      }
      break;
    }
    case "openScope":
      if (model.canOpen) model.openScope();
      break;
    case "endScope": {
      if (model.scopes.length === 0) break;
      const scope = random.below(3) > 0 ? model.scopes.at(-1)! : random.pick(model.scopes);
      if (model.dying === undefined || !scope.handles.some(({ target }) => target === model.dying)) {
        model.endScope(scope);
      }
      break;
    }
    case "push": {
      const object = pickHoldable();
      const scope = model.pickScope(random);
      if (object !== undefined && scope !== undefined && model.canHold) model.push(object, scope);
      break;
    }
    case "keep": {
      const object = pickHoldable();
      if (object !== undefined && model.canKeep) model.keep(object);
      break;
    }
    case "release":
      if (model.kept.length > 0) model.release(random.pick(model.kept));
      break;
    case "move": {
      const handle = model.pickHandle(random);
      const object = pickHoldable();
      if (handle !== undefined && object !== undefined) model.move(handle, object, random.below(2) === 0);
      break;
    }
    case "store": {
      const object = model.pickWanted(random, (other) => slotCount(other) > 0);
      if (object === undefined) break;
      const index = random.below(slotCount(object));
      const value = model.pickWanted(random, (other) => other.shape === slotTarget(object, index));
      if (value !== undefined) model.store(object, index, value, random.below(2) === 0);
      break;
    }
    case "storeNothing": {
      const object = model.pickWanted(random, (other) => other.strong.size > 0);
      if (object === undefined) break;
      model.store(object, random.pick([...object.strong.keys()]), undefined, random.below(2) === 0);
      break;
    }
    case "load": {
      const object = model.pickWanted(random, (other) => other.strong.size > 0);
      if (object !== undefined) model.load(object, random.pick([...object.strong.keys()]));
      break;
    }
    case "storeWeak": {
      const object = model.pickWanted(random, (other) => weakCount(other) > 0);
      if (object === undefined) break;
      const index = random.below(weakCount(object));
      const value = model.pickWanted(random, (other) => other.shape === weakTarget(object, index));
      // What dies has no weak slot to it any more.
      if (value !== undefined && (model.dying === undefined || model.reachable().has(value))) {
        model.storeWeak(object, index, value);
      } else if (random.below(4) === 0) model.storeWeak(object, index, undefined);
      break;
    }
    case "loadWeak": {
      const object = model.pickWanted(random, (other) => other.weak.size > 0);
      if (object !== undefined) model.loadWeak(object, random.pick([...object.weak.keys()]));
      break;
    }
    case "drop": {
      // Takes an object out of the graph and holds it by a handle alone, then puts it back elsewhere or not at all.
      const holder = model.pickWanted(random, (other) => other.strong.size > 0);
      if (holder === undefined) break;
      const index = random.pick([...holder.strong.keys()]);
      const object = model.load(holder, index)!;
      const scope = model.pickScope(random);
      const isHoldable = model.dying === undefined || model.reachable().has(object);
      if (scope !== undefined && model.canHold && isHoldable) model.push(object, scope);
      model.store(holder, index, undefined, random.below(2) === 0);
      const other = model.pickWanted(random, refersTo(object.shape));
      if (other !== undefined) storeInto(model, random, other, object);
      break;
    }
    case "churn": {
      const scope = model.openScope();
      if (scope === undefined) break;
      for (let count = 0; count < 50 + operation.length; count++) {
        const made = usualShapes[random.below(usualShapes.length)]!;
        if (made.bytes < 1000) model.allocate(made, random.below(20), scope);
      }
      model.endScope(scope);
      break;
    }
    case "step":
      model.step(operation.units);
      break;
    case "settle":
      model.settle();
      break;
    case "beginCycle":
      model.beginCycle();
      break;
    case "collect":
      model.collect(operation.units * 100);
      break;
    default:
      throw new Error(`there is no operation called ${operation.kind}`);
  }
}
