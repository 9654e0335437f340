export { Arena } from "./allocators/arena.js";
export { type AllocationOptions, ByteHeap, type ByteHeapStats, type MallocFunctions } from "./allocators/byteHeap.js";
export { FramePool, type FramePoolOptions, type FramePoolStats, type FrameSize } from "./allocators/framePool.js";
export { Pool, type PoolOptions, type PoolStats } from "./allocators/pool.js";
export { Region, RegionPool, type RegionPoolOptions } from "./allocators/region.js";
export type { ArenaMark, ArenaOptions, ArenaStats, Space } from "./allocators/space.js";
export type { NewFunction } from "./allocators/warmCells.js";
export { type Entry, SortedMap, type SortedMapOptions, type SortedMapStats } from "./collections/sortedMap.js";
export type { GivenKey, GivenValue, Shown, ValueCursor } from "./collections/sortedMapTypes.js";
export type { Collection, CollectionListener, HeapStats, Strategy } from "./collectors/figures.js";
export { Heap, type HeapOptions } from "./collectors/heap.js";
export type { DeclaredType } from "./collectors/heapTypes.js";
export { Scope } from "./collectors/scope.js";
export type { RuntimeOptions } from "./createRuntime.js";
export * from "./errors.js";
export { ArrayObjectType } from "./layout/arrayObjectType.js";
export { Bytes } from "./layout/bytes.js";
export { type CopyTarget, Cursor, Ref } from "./layout/cursor.js";
export { type ArrayType, array, type TextType, text } from "./layout/fields.js";
export {
  type BigintType,
  type ByteType,
  bool,
  type FieldKind,
  type FieldType,
  f32,
  f64,
  i8,
  i16,
  i32,
  i64,
  type NumberType,
  u8,
  u16,
  u32,
  u64,
} from "./layout/fieldType.js";
export type { Location } from "./layout/location.js";
export { type ArrayRefType, type RefType, ref, type SelfRefType, weak } from "./layout/refs.js";
export { type Sequence, StructArray, ValueArray } from "./layout/sequence.js";
export {
  type ArrayObjectOf,
  type CursorOf,
  type Fields,
  type ObjectOf,
  type RefName,
  type RefTarget,
  type RefView,
  type SelfRefName,
  type SequenceOf,
  type StructOptions,
  StructType,
  struct,
  type ValuesOf,
} from "./layout/struct.js";
export * from "./loop/index.js";
export type { Leak, LeakKind } from "./memory/allocationSites.js";
export type { CollectorFigures } from "./memory/collector.js";
export type { WasmSource } from "./memory/instantiate.js";
export type { Address } from "./memory/module.js";
export { type OwnerName, Runtime, type RuntimeStats } from "./runtime.js";
