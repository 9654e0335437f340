// The collected heaps as strategies. A strategy is a heap at the same address: it names types and scopes by their addresses, as
// the programs keep them in their records, and tells that nothing has to be freed.

import { CellType } from "../../../assembly/collectors/cellType";
import { Scope } from "../../../assembly/collectors/scope";
import { MarkSweepHeap, RefcountHeap } from "../../../assembly/collectors/strategies";
import { Address } from "../../../assembly/memory/alignment";

/** How a heap is set up: the words of bench/drivers/workbench.ts, in their order. */
@unmanaged
export class HeapTuning {
  /** Allocation that starts a cycle at the earliest. */
  minimumBytes: u32;
  /** The units of a step. */
  stepUnits: u32;
}

@unmanaged
export class Collected<H> {
  @inline
  get heap(): H {
    return changetype<H>(changetype<Address>(this));
  }

  @inline
  isManual(): bool {
    return false;
  }

  addType(
    bytes: u32,
    slots: Address,
    slotCount: u32,
    cyclicCount: u32,
    weakSlots: Address,
    weakCount: u32,
    flags: u32,
  ): Address {
    return changetype<Address>(this.heap.addType(bytes, slots, slotCount, cyclicCount, weakSlots, weakCount, flags));
  }

  @inline
  allocate(type: Address): Address {
    return this.heap.allocate(changetype<CellType>(type));
  }

  @inline
  allocateArray(type: Address, length: u32): Address {
    return this.heap.allocateArray(changetype<CellType>(type), length);
  }

  @inline
  store(object: Address, offset: u32, value: Address): void {
    this.heap.store(object, offset, value);
  }

  @inline
  free(_object: Address): void {}

  @inline
  openScope(): Address {
    return changetype<Address>(this.heap.openScope());
  }

  @inline
  push(scope: Address, object: Address): Address {
    return this.heap.push(changetype<Scope>(scope), object);
  }

  @inline
  move(slot: Address, object: Address): void {
    this.heap.move(slot, object);
  }

  @inline
  endScope(scope: Address): void {
    this.heap.endScope(changetype<Scope>(scope));
  }

  @inline
  safepoint(): u32 {
    return this.heap.safepoint();
  }
}

/** Each returns the strategy, or 0 with a status. */
export function createMarkSweep(isStop: bool, tuning: HeapTuning): Address {
  return changetype<Address>(MarkSweepHeap.create(isStop, tuning.minimumBytes, tuning.stepUnits));
}

export function createRefcount(tuning: HeapTuning): Address {
  return changetype<Address>(RefcountHeap.create(tuning.minimumBytes, tuning.stepUnits));
}
