// Strategies, as guests and drivers see them: the same methods for each, and nothing between a call and what it does. A function
// over the type of a strategy, `function run<S>(heap: S)`, is compiled anew for each.
//
//   allocate(type): Address                     0 when memory is out. Nothing leads to it: store or push it before the next safepoint
//   allocateArray(type, length): Address        the same
//   store(object, offset, value): void          `offset` of a reference in `object`; loads are plain loads
//   free(object): void                          does nothing: what cannot be reached is found
//   openScope(): Scope                          0 when memory is out
//   push(scope, object): Address                a handle; 0 when memory is out
//   move(slot, object): void                    points a handle to another object
//   endScope(scope): void
//   safepoint(): u32                            does what is due between two events; returns the units
//   addType(bytes, slots, slotCount, cyclicCount, weakSlots, weakCount, flags): CellType      see cellType.ts; 0 when memory is out

import { Address } from "../memory/alignment";

import { addType, CellType } from "./cellType";
import { retain } from "./countWord";
import { Heap, noteDropped, Phase, refuse, Strategy } from "./heap";
import { createHeap } from "./heapLife";
import { shade } from "./marker";
import { endScopeMarked, moveMarked, owedToMarking, stepMarking } from "./markSweep";
import { endScopeCounted, moveCounted, owedToCounting, stepCounting } from "./refcount";
import { defer } from "./release";
import { openScope, Scope } from "./scope";
import { allocateVariable } from "./variableClass";

/** What the strategies have in common. */
@unmanaged
class StrategyHeap extends Heap {
  addType(
    bytes: u32,
    slots: Address,
    slotCount: u32,
    cyclicCount: u32,
    weakSlots: Address,
    weakCount: u32,
    flags: u32,
  ): CellType {
    return changetype<CellType>(addType(this, bytes, slots, slotCount, cyclicCount, weakSlots, weakCount, flags));
  }

  @inline
  allocate(type: CellType): Address {
    return type.allocate();
  }

  allocateArray(type: CellType, length: u32): Address {
    return allocateVariable(this, type, length);
  }

  @inline
  free(_object: Address): void {}

  openScope(): Scope {
    return changetype<Scope>(openScope(this));
  }
}

/** Mark-sweep, in steps or a whole cycle at a time. */
@unmanaged
export class MarkSweepHeap extends StrategyHeap {
  static create(stop: bool, minimumBytes: u32, stepUnits: u32): MarkSweepHeap {
    const strategy = stop ? Strategy.MARK_SWEEP_STOP : Strategy.MARK_SWEEP;
    return changetype<MarkSweepHeap>(createHeap(strategy, minimumBytes, stepUnits));
  }

  @inline
  store(object: Address, offset: u32, value: Address): void {
    if (this.phase == Phase.MARK) shade(this, load<Address>(object + offset));
    store<Address>(object + offset, value);
  }

  @inline
  push(scope: Scope, object: Address): Address {
    return scope.stack.push(object) ? scope.stack.top - 4 : refuse(this);
  }

  @inline
  move(slot: Address, object: Address): void {
    if (this.phase == Phase.MARK) moveMarked(this, slot, object);
    else store<Address>(slot, object);
  }

  endScope(scope: Scope): void {
    endScopeMarked(scope);
  }

  @inline
  safepoint(): u32 {
    noteDropped(this); // perhaps: `store` and `move` look at nothing but the phase
    const owed = owedToMarking(this);
    return owed ? stepMarking(this, owed) : 0;
  }
}

/** Reference counting. */
@unmanaged
export class RefcountHeap extends StrategyHeap {
  static create(minimumBytes: u32, stepUnits: u32): RefcountHeap {
    return changetype<RefcountHeap>(createHeap(Strategy.REFCOUNT, minimumBytes, stepUnits));
  }

  @inline
  store(object: Address, offset: u32, value: Address): void {
    const old = load<Address>(object + offset);
    if (value) retain(value);
    store<Address>(object + offset, value);
    if (old) defer(this, old);
  }

  @inline
  push(scope: Scope, object: Address): Address {
    if (!scope.stack.push(object)) return refuse(this);
    retain(object);
    return scope.stack.top - 4;
  }

  @inline
  move(slot: Address, object: Address): void {
    moveCounted(this, slot, object);
  }

  endScope(scope: Scope): void {
    endScopeCounted(scope);
  }

  @inline
  safepoint(): u32 {
    const owed = owedToCounting(this);
    return owed ? stepCounting(this, owed) : 0;
  }
}
