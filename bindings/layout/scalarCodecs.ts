import type { LinearMemory } from "../memory/linearMemory.js";
import type { Address } from "../memory/module.js";
import type { Codec } from "./codec.js";
import type { Location } from "./location.js";
import { ACCEPTS, refuse, type ScalarAccess, type ScalarName } from "./scalarAccess.js";

/** Puts a scalar's codec together from its ways of touching memory. */
function scalar<Value>(
  name: ScalarName,
  read: (memory: LinearMemory, address: Address) => Value,
  write: (memory: LinearMemory, address: Address, value: Value) => void,
  accessor: (
    access: ScalarAccess,
    offset: number,
  ) => {
    get(this: Location): Value;
    set(this: Location, value: Value): void;
  },
): Codec {
  return {
    accessor: accessor as Codec["accessor"],
    check(_memory, value, path, member) {
      if (!ACCEPTS[name](value)) refuse(name, value, path, member);
      return value;
    },
    write: write as Codec["write"],
    read,
    slots() {},
  };
}

export const u8Codec: Codec = scalar<number>(
  "u8",
  (memory, address) => memory.u8[address]!,
  (memory, address, value) => {
    memory.u8[address] = value;
  },
  (access, offset) => ({
    get() {
      return access.getU8(this, offset);
    },
    set(value) {
      access.setU8(this, offset, value);
    },
  }),
);

export const i8Codec: Codec = scalar<number>(
  "i8",
  (memory, address) => memory.i8[address]!,
  (memory, address, value) => {
    memory.i8[address] = value;
  },
  (access, offset) => ({
    get() {
      return access.getI8(this, offset);
    },
    set(value) {
      access.setI8(this, offset, value);
    },
  }),
);

export const u16Codec: Codec = scalar<number>(
  "u16",
  (memory, address) => memory.u16[address >>> 1]!,
  (memory, address, value) => {
    memory.u16[address >>> 1] = value;
  },
  (access, offset) => ({
    get() {
      return access.getU16(this, offset);
    },
    set(value) {
      access.setU16(this, offset, value);
    },
  }),
);

export const i16Codec: Codec = scalar<number>(
  "i16",
  (memory, address) => memory.i16[address >>> 1]!,
  (memory, address, value) => {
    memory.i16[address >>> 1] = value;
  },
  (access, offset) => ({
    get() {
      return access.getI16(this, offset);
    },
    set(value) {
      access.setI16(this, offset, value);
    },
  }),
);

export const u32Codec: Codec = scalar<number>(
  "u32",
  (memory, address) => memory.u32[address >>> 2]!,
  (memory, address, value) => {
    memory.u32[address >>> 2] = value;
  },
  (access, offset) => ({
    get() {
      return access.getU32(this, offset);
    },
    set(value) {
      access.setU32(this, offset, value);
    },
  }),
);

export const i32Codec: Codec = scalar<number>(
  "i32",
  (memory, address) => memory.i32[address >>> 2]!,
  (memory, address, value) => {
    memory.i32[address >>> 2] = value;
  },
  (access, offset) => ({
    get() {
      return access.getI32(this, offset);
    },
    set(value) {
      access.setI32(this, offset, value);
    },
  }),
);

export const f32Codec: Codec = scalar<number>(
  "f32",
  (memory, address) => memory.f32[address >>> 2]!,
  (memory, address, value) => {
    memory.f32[address >>> 2] = value;
  },
  (access, offset) => ({
    get() {
      return access.getF32(this, offset);
    },
    set(value) {
      access.setF32(this, offset, value);
    },
  }),
);

export const f64Codec: Codec = scalar<number>(
  "f64",
  (memory, address) => memory.f64[address >>> 3]!,
  (memory, address, value) => {
    memory.f64[address >>> 3] = value;
  },
  (access, offset) => ({
    get() {
      return access.getF64(this, offset);
    },
    set(value) {
      access.setF64(this, offset, value);
    },
  }),
);

export const u64Codec: Codec = scalar<bigint>(
  "u64",
  (memory, address) => memory.u64[address >>> 3]!,
  (memory, address, value) => {
    memory.u64[address >>> 3] = value;
  },
  (access, offset) => ({
    get() {
      return access.getU64(this, offset);
    },
    set(value) {
      access.setU64(this, offset, value);
    },
  }),
);

export const i64Codec: Codec = scalar<bigint>(
  "i64",
  (memory, address) => memory.i64[address >>> 3]!,
  (memory, address, value) => {
    memory.i64[address >>> 3] = value;
  },
  (access, offset) => ({
    get() {
      return access.getI64(this, offset);
    },
    set(value) {
      access.setI64(this, offset, value);
    },
  }),
);

export const boolCodec: Codec = scalar<boolean>(
  "bool",
  (memory, address) => memory.u8[address] !== 0,
  (memory, address, value) => {
    memory.u8[address] = value ? 1 : 0;
  },
  (access, offset) => ({
    get() {
      return access.getBool(this, offset);
    },
    set(value) {
      access.setBool(this, offset, value);
    },
  }),
);
