import fc from "fast-check";
import {
  array,
  bool,
  type FieldType,
  f32,
  f64,
  i8,
  i16,
  i32,
  i64,
  ref,
  type StructType,
  struct,
  text,
  u8,
  u16,
  u32,
  u64,
} from "tidemark";

// An independent model of layouts: what a struct is made of, how C lays it out, and how its values lie in memory.

/** A scalar as C and a DataView know it. */
interface Scalar {
  readonly type: FieldType<unknown>;
  readonly c: string;
  readonly bytes: number;
  readonly values: fc.Arbitrary<unknown>;
  readonly put: (view: DataView, at: number, value: never) => void;
}

/** Draws the ends of the range often. */
function whole(minimum: number, maximum: number): fc.Arbitrary<number> {
  return fc.oneof(fc.constantFrom(minimum, maximum, 0, 1), fc.integer({ min: minimum, max: maximum }));
}

function wholeBig(min: bigint, max: bigint): fc.Arbitrary<bigint> {
  return fc.oneof(fc.constantFrom(min, max, 0n, 1n), fc.bigInt({ min, max }));
}

const SCALARS = {
  u8: { type: u8, c: "uint8_t", bytes: 1, values: whole(0, 255), put: (v, at, x) => v.setUint8(at, x) },
  i8: { type: i8, c: "int8_t", bytes: 1, values: whole(-128, 127), put: (v, at, x) => v.setInt8(at, x) },
  u16: { type: u16, c: "uint16_t", bytes: 2, values: whole(0, 65535), put: (v, at, x) => v.setUint16(at, x, true) },
  i16: { type: i16, c: "int16_t", bytes: 2, values: whole(-32768, 32767), put: (v, at, x) => v.setInt16(at, x, true) },
  u32: {
    type: u32,
    c: "uint32_t",
    bytes: 4,
    values: whole(0, 2 ** 32 - 1),
    put: (v, at, x) => v.setUint32(at, x, true),
  },
  i32: {
    type: i32,
    c: "int32_t",
    bytes: 4,
    values: whole(-(2 ** 31), 2 ** 31 - 1),
    put: (v, at, x) => v.setInt32(at, x, true),
  },
  u64: {
    type: u64,
    c: "uint64_t",
    bytes: 8,
    values: wholeBig(0n, 2n ** 64n - 1n),
    put: (v, at, x) => v.setBigUint64(at, x, true),
  },
  i64: {
    type: i64,
    c: "int64_t",
    bytes: 8,
    values: wholeBig(-(2n ** 63n), 2n ** 63n - 1n),
    put: (v, at, x) => v.setBigInt64(at, x, true),
  },
  f32: { type: f32, c: "float", bytes: 4, values: fc.float(), put: (v, at, x) => v.setFloat32(at, x, true) },
  f64: { type: f64, c: "double", bytes: 8, values: fc.double(), put: (v, at, x) => v.setFloat64(at, x, true) },
  bool: { type: bool, c: "_Bool", bytes: 1, values: fc.boolean(), put: (v, at, x) => v.setUint8(at, x ? 1 : 0) },
} satisfies Record<string, Scalar>;

export type ScalarName = keyof typeof SCALARS;
const SCALAR_NAMES = Object.keys(SCALARS) as ScalarName[];

export type Shape =
  | { readonly kind: "scalar"; readonly scalar: ScalarName }
  | { readonly kind: "text"; readonly bytes: number }
  | { readonly kind: "ref" }
  | { readonly kind: "array"; readonly element: Shape; readonly length: number }
  | StructShape;

export interface StructShape {
  readonly kind: "struct";
  readonly fields: readonly Shape[];
}

/** What refs of random structs refer to. */
const Target = struct("Target", { number: f64 });

const leaf: fc.Arbitrary<Shape> = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...SCALAR_NAMES).map((scalar): Shape => ({ kind: "scalar", scalar })) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 19 }).map((bytes): Shape => ({ kind: "text", bytes })) },
  { weight: 1, arbitrary: fc.constant<Shape>({ kind: "ref" }) },
);

const { shape } = fc.letrec<{ shape: Shape; struct: Shape; array: Shape }>((tie) => ({
  shape: fc.oneof({ maxDepth: 3, depthSize: "small" }, { weight: 6, arbitrary: leaf }, tie("array"), tie("struct")),
  array: fc
    .tuple(tie("shape"), fc.integer({ min: 1, max: 5 }))
    .map(([element, length]): Shape => ({ kind: "array", element, length })),
  struct: fc.array(tie("shape"), { minLength: 1, maxLength: 4 }).map((fields): Shape => ({ kind: "struct", fields })),
}));

/** Random structs of all kinds of field, nested up to three deep. */
export const structShapes: fc.Arbitrary<StructShape> = fc
  .array(shape, { minLength: 1, maxLength: 9 })
  .map((fields) => ({ kind: "struct", fields }));

export const fieldName = (index: number): string => `f${index}`;

let declared = 0;

/** The Tidemark type of a shape. */
function typeOf(shape: Shape): FieldType<unknown> {
  if (shape.kind === "scalar") return SCALARS[shape.scalar].type;
  if (shape.kind === "text") return text(shape.bytes);
  if (shape.kind === "ref") return ref(Target);
  if (shape.kind === "array") return array(typeOf(shape.element), shape.length);
  return structOf(shape);
}

export function structOf(shape: StructShape): StructType<Record<string, FieldType<unknown>>> {
  const fields = shape.fields.map((field, index) => [fieldName(index), typeOf(field)] as const);
  return struct(`Random${declared++}`, Object.fromEntries(fields));
}

export interface Layout {
  readonly size: number;
  readonly alignment: number;
  /** Of a struct's fields. */
  readonly offsets: readonly number[];
}

/** Natural alignment, each field at the first fitting place, the whole padded to its own alignment. */
export function layoutOf(shape: Shape): Layout {
  if (shape.kind === "scalar") {
    const { bytes } = SCALARS[shape.scalar];
    return { size: bytes, alignment: bytes, offsets: [] };
  }
  if (shape.kind === "text") return { size: shape.bytes, alignment: 1, offsets: [] };
  if (shape.kind === "ref") return { size: 12, alignment: 4, offsets: [] };
  if (shape.kind === "array") {
    const element = layoutOf(shape.element);
    return { size: element.size * shape.length, alignment: element.alignment, offsets: [] };
  }
  const offsets: number[] = [];
  let end = 0;
  let alignment = 1;
  for (const field of shape.fields) {
    const { size, alignment: own } = layoutOf(field);
    while (end % own !== 0) end++;
    offsets.push(end);
    end += size;
    if (own > alignment) alignment = own;
  }
  while (end % alignment !== 0) end++;
  return { size: end, alignment, offsets };
}

/** The declaration of `name` with this shape, in C. */
export function toC(shape: Shape, name: string): string {
  if (shape.kind === "scalar") return `${SCALARS[shape.scalar].c} ${name}`;
  if (shape.kind === "text") return `char ${name}[${shape.bytes}]`;
  if (shape.kind === "ref") return `struct { uint32_t address, guard, generation; } ${name}`;
  if (shape.kind === "array") return toC(shape.element, `${name}[${shape.length}]`);
  return `struct { ${shape.fields.map((field, index) => `${toC(field, fieldName(index))};`).join(" ")} } ${name}`;
}

/** Text that fits `bytes` of UTF-8: code points of one to four bytes, none of them U+0000. */
function fittingText(bytes: number): fc.Arbitrary<string> {
  const points = fc.array(
    fc.oneof(
      fc.integer({ min: 0x01, max: 0x7f }),
      fc.integer({ min: 0x80, max: 0x7ff }),
      fc.integer({ min: 0x800, max: 0xd7ff }),
      fc.constantFrom(0xfeff, 0xfffd, 0xffff),
      fc.integer({ min: 0x10000, max: 0x10ffff }),
    ),
    { maxLength: bytes },
  );
  return points.map((all) => {
    let fitting = "";
    for (const point of all) {
      const longer = fitting + String.fromCodePoint(point);
      if (Buffer.byteLength(longer) > bytes) break;
      fitting = longer;
    }
    return fitting;
  });
}

/** Plain values of this shape; refs are null. */
function valuesOf(shape: Shape): fc.Arbitrary<unknown> {
  if (shape.kind === "scalar") return SCALARS[shape.scalar].values;
  if (shape.kind === "text") return fittingText(shape.bytes);
  if (shape.kind === "ref") return fc.constant(null);
  if (shape.kind === "array") {
    return fc.array(valuesOf(shape.element), { minLength: shape.length, maxLength: shape.length });
  }
  return recordsOf(shape);
}

export function recordsOf(shape: StructShape): fc.Arbitrary<Record<string, unknown>> {
  return fc.record(Object.fromEntries(shape.fields.map((field, index) => [fieldName(index), valuesOf(field)])), {
    noNullPrototype: true,
  });
}

/** Writes a plain value as it lies in memory. */
export function encode(shape: Shape, value: unknown, view: DataView, at: number): void {
  if (shape.kind === "scalar") SCALARS[shape.scalar].put(view, at, value as never);
  else if (shape.kind === "text") {
    const bytes = new TextEncoder().encode(value as string);
    for (let index = 0; index < shape.bytes; index++) view.setUint8(at + index, bytes[index] ?? 0);
  } else if (shape.kind === "ref") {
    for (let index = 0; index < 12; index++) view.setUint8(at + index, 0);
  } else if (shape.kind === "array") {
    const { size } = layoutOf(shape.element);
    (value as unknown[]).forEach((element, index) => {
      encode(shape.element, element, view, at + index * size);
    });
  } else {
    const { offsets } = layoutOf(shape);
    shape.fields.forEach((field, index) => {
      encode(field, (value as Record<string, unknown>)[fieldName(index)], view, at + offsets[index]!);
    });
  }
}
