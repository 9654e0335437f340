// Keys of the sorted map: the kinds there are, how two keys compare, and the search in a run of sorted keys.
//
// The code is generic over the type of the key and compiled once for each kind. A struct as key is a `Record`: its
// fields are compared one by one, in the order of their declaration, as a short description in the map's header says.
//
//   key field (4 B)   ┌────────┬──────┬─────────────┐
//                     │ length │ kind │ offset      │   length: bytes of a text, 0 for numbers
//                     └────────┴──────┴─────────────┘
//                      31    16 15   8 7           0

import { Address } from "../memory/alignment";

/** The kinds of field, numbered as in bindings/layout/fieldType.ts. */
export namespace Kind {
  export const U8: u32 = 1;
  export const I8: u32 = 2;
  export const U16: u32 = 3;
  export const I16: u32 = 4;
  export const U32: u32 = 5;
  export const I32: u32 = 6;
  export const U64: u32 = 7;
  export const I64: u32 = 8;
  export const F32: u32 = 9;
  export const F64: u32 = 10;
  export const BOOL: u32 = 11;
  export const TEXT: u32 = 12;
  export const STRUCT: u32 = 14;
}

/** The type parameter that stands for a struct as key; a value of it is the address of the struct's bytes. */
@unmanaged
export class Record {}

/** A description of the fields of a struct as key: their number, then the fields. */
@unmanaged
export class KeyFields {
  count: u32;

  field(index: u32): u32 {
    return load<u32>(changetype<usize>(this) + offsetof<KeyFields>() + ((<usize>index) << 2));
  }
}

/** The bytes of keys that the last step of a search compares at once, with four vector instructions. */
const WINDOW: u32 = 64;

/**
 * The number of keys below `key` among the `count` sorted keys at `keys`.
 *
 * Numbers: halving without branches down to 64 bytes of keys, the rest compared at once; for 63 keys of f64 in random
 * order two thirds of the time of a binary search, since no branch is mispredicted. It reads 64 bytes from the start of
 * any key, so as many bytes must follow the last key (they may hold anything).
 */
export function rank<K>(keys: Address, count: u32, key: K, bytes: u32, fields: KeyFields): u32 {
  if (isReference<K>()) return rankRecord(keys, count, changetype<Address>(key), bytes, fields);
  const size: u32 = sizeof<K>();
  let base = keys;
  let left = count;
  while (left > WINDOW / size) {
    const half = left >> 1;
    const next = base + half * size;
    base = select<Address>(next, base, load<K>(next - size) < key);
    left -= half;
  }
  return <u32>(base - keys) / size + min(leading<K>(base, key), left);
}

/** How many keys from `base` on, up to the first one that is not, are below `key`; 64 bytes of keys at most. */
function leading<K>(base: Address, key: K): u32 {
  const lanes: u64 = 16 / sizeof<K>();
  const mask =
    lanesBelow<K>(base, key) |
    (lanesBelow<K>(base + 16, key) << lanes) |
    (lanesBelow<K>(base + 32, key) << (2 * lanes)) |
    (lanesBelow<K>(base + 48, key) << (3 * lanes));
  return <u32>ctz(~mask);
}

/** One bit for each key of the 16 bytes at `address`: 1 = below `key`. */
function lanesBelow<K>(address: Address, key: K): u64 {
  if (sizeof<K>() == 8 && isInteger<K>() && !isSigned<K>()) {
    // There is no unsigned comparison of 64-bit lanes: with the top bit flipped, the signed one gives the same order.
    const flip = i64x2.splat(i64.MIN_VALUE);
    const lanes = v128.xor(v128.load(address), flip);
    return <u64>i64x2.bitmask(i64x2.lt_s(lanes, v128.xor(i64x2.splat(<i64>key), flip)));
  }
  const below = v128.lt<K>(v128.load(address), v128.splat<K>(key));
  if (sizeof<K>() == 8) return <u64>i64x2.bitmask(below);
  if (sizeof<K>() == 4) return <u64>i32x4.bitmask(below);
  if (sizeof<K>() == 2) return <u64>i16x8.bitmask(below);
  return <u64>i8x16.bitmask(below);
}

function rankRecord(keys: Address, count: u32, key: Address, bytes: u32, fields: KeyFields): u32 {
  let low: u32 = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareRecords(keys + middle * bytes, key, fields) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** True when the key at `address` is `key`. */
export function equals<K>(address: Address, key: K, fields: KeyFields): bool {
  if (isReference<K>()) return compareRecords(address, changetype<Address>(key), fields) == 0;
  return load<K>(address) == key;
}

/** Below, at or above 0 as the struct at `a` comes before, with or after the one at `b`. O(fields + bytes of text). */
export function compareRecords(a: Address, b: Address, fields: KeyFields): i32 {
  for (let index: u32 = 0; index < fields.count; index++) {
    const field = fields.field(index);
    const offset: usize = field & 0xff;
    const order = compareFields(a + offset, b + offset, (field >> 8) & 0xff, field >> 16);
    if (order) return order;
  }
  return 0;
}

/** Compares two keys, or fields of keys, of `kind`; `length` counts only for text. */
export function compareFields(a: Address, b: Address, kind: u32, length: u32): i32 {
  switch (kind) {
    case Kind.U8:
    case Kind.BOOL:
      return compare<u8>(a, b);
    case Kind.I8:
      return compare<i8>(a, b);
    case Kind.U16:
      return compare<u16>(a, b);
    case Kind.I16:
      return compare<i16>(a, b);
    case Kind.U32:
      return compare<u32>(a, b);
    case Kind.I32:
      return compare<i32>(a, b);
    case Kind.U64:
      return compare<u64>(a, b);
    case Kind.I64:
      return compare<i64>(a, b);
    case Kind.F32:
      return compare<f32>(a, b);
    case Kind.F64:
      return compare<f64>(a, b);
    default:
      return memory.compare(a, b, length);
  }
}

function compare<K>(a: Address, b: Address): i32 {
  return i32(load<K>(a) > load<K>(b)) - i32(load<K>(a) < load<K>(b));
}

/**
 * Makes the struct at `key` fit to be a key: −0 becomes 0 in it. Returns false when a field is NaN, which has no place
 * in the order.
 */
export function prepareRecord(key: Address, fields: KeyFields): bool {
  for (let index: u32 = 0; index < fields.count; index++) {
    const field = fields.field(index);
    const address = key + (field & 0xff);
    const kind = (field >> 8) & 0xff;
    if (kind == Kind.F64 && !storeFloat<f64>(address, load<f64>(address))) return false;
    if (kind == Kind.F32 && !storeFloat<f32>(address, load<f32>(address))) return false;
  }
  return true;
}

/** Stores a key or a field of one, −0 as 0. Returns false if it is NaN. */
export function storeFloat<K>(address: Address, value: K): bool {
  store<K>(address, value + <K>0);
  return value == value;
}
