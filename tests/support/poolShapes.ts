import { array, type CursorOf, f64, ref, type StructType, struct, u8 } from "tidemark";

const Linked = struct("Linked", { value: f64, next: ref("Linked") });

/** Records of these are made by the model. All have a value, and some a ref to another record of the same pool. */
export type ModelFields = (typeof Linked)["fields"];
export type ModelStruct = StructType<ModelFields>;
export type ModelCursor = CursorOf<ModelFields>;

export interface Shape {
  readonly type: ModelStruct;
  readonly hasNext: boolean;
  /** How many records a run of the model may have of it at most. */
  readonly most: number;
}

function shape(type: unknown, most: number): Shape {
  const struct = type as ModelStruct;
  return { type: struct, hasNext: "next" in struct.fields, most };
}

const Bare = struct("Bare", { value: f64 });
const Pair = struct("Pair", { value: f64, other: f64 });
const Wide = struct("Wide", { value: f64, next: ref("Wide"), rest: array(u8, 980) });
const Large = struct("Large", { value: f64, next: ref("Large"), rest: array(u8, 60_000), more: array(u8, 11_660) });
const part = array(u8, 65_000);
/** What 600 KiB have beside nine such parts, a value and a ref. */
const last = array(u8, 614_400 - 20 - 9 * 65_000);
const parts = { a: part, b: part, c: part, d: part, e: part, f: part, g: part, h: part, i: part, last };
const Huge = struct("Huge", { value: f64, next: ref("Huge"), ...parts });

/** Cells of 8, 16, 24 and 1,000 bytes; of 70 KiB, four to a slab of five pages; and of 600 KiB, one to a slab of ten. */
export const shapes: readonly Shape[] = [
  shape(Bare, 30_000),
  shape(Pair, 20_000),
  shape(Linked, 12_000),
  shape(Wide, 400),
  shape(Large, 12),
  shape(Huge, 4),
];
