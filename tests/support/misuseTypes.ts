import { Bytes, type Runtime, TidemarkError } from "tidemark";
import { expect } from "vitest";
import { type Any, Cell, Other } from "./misuse.js";

/** One of every kind of value, and of every class of the package. */
function values(runtime: Runtime): unknown[] {
  const heap = runtime.byteHeap();
  return [
    undefined,
    null,
    true,
    -1,
    0.5,
    Number.NaN,
    2 ** 53,
    5n,
    "",
    "small ",
    "constructor",
    Symbol("five"),
    {},
    [],
    () => 5,
    new Date(0),
    new Uint8Array(4),
    new Float64Array(1),
    Object.create(null),
    new Proxy({}, {}),
    Cell,
    Other,
    runtime,
    runtime.arena(),
    runtime.arena().mark(),
    runtime.arena().new(Other),
    runtime.array(Cell),
    runtime.pool(Other).new(),
    heap,
    runtime.framePool(),
    runtime.framePool().acquire("small"),
    runtime.sortedMap(Other.fields.value, Cell),
  ];
}

/** A call with one bad argument. */
export interface Call {
  readonly name: string;
  readonly call: (value: Any) => unknown;
  /** Values that it takes nevertheless. */
  readonly takes?: (value: unknown) => boolean;
}

const isAbsent = (value: unknown) => value === undefined;
/** An object with none of the options is one with the defaults; types keep other classes out. */
const isObject = (value: unknown) =>
  value === undefined || (typeof value === "object" && value !== null && !Array.isArray(value));
/** What has a name of its own has an option that does not exist, and what is of a class is something else. */
const isOptions = (value: unknown) =>
  value === undefined || (isObject(value) && isPlain(value as object) && Object.keys(value as object).length === 0);
const isPlain = (value: object) => [Object.prototype, null].includes(Object.getPrototypeOf(value));
/** Live bytes can be pointed at something else, whosever they are. */
const isReusable = (value: unknown) => value === undefined || value instanceof Bytes;

export function typeCalls(runtime: Runtime): Call[] {
  const pool = runtime.pool(Cell);
  const heap = runtime.byteHeap();
  const frames = runtime.framePool();
  const address = heap.allocate(100);
  const list = new Uint32Array(2);
  return [
    { name: "runtime.pool: struct", call: (bad) => runtime.pool(bad), takes: (bad) => bad === Cell || bad === Other },
    { name: "runtime.pool: options", call: (bad) => runtime.pool(Cell, bad), takes: isOptions },
    { name: "runtime.pool: capacity", call: (capacity) => runtime.pool(Cell, { capacity }), takes: isAbsent },
    {
      name: "runtime.pool: grow",
      call: (grow) => runtime.pool(Cell, { capacity: 5, grow }),
      takes: (bad) => bad === undefined || bad === true,
    },
    {
      name: "runtime.pool: destroy",
      call: (destroy) => runtime.pool(Cell, { destroy }),
      takes: (bad) => bad === undefined || typeof bad === "function",
    },
    { name: "runtime.framePool: options", call: (bad) => runtime.framePool(bad), takes: isOptions },
    ...(["small", "medium", "large"] as const).map((size) => ({
      name: `runtime.framePool: ${size}`,
      call: (bad: Any) => runtime.framePool({ [size]: bad }),
      takes: isAbsent,
    })),
    { name: "pool.new", call: (bad) => pool.new(bad), takes: isAbsent },
    { name: "pool.free", call: (bad) => pool.free(bad) },
    { name: "pool.contains", call: (bad) => expect(pool.contains(bad)).toBe(false), takes: () => true },
    { name: "heap.allocate: size", call: (bad) => heap.allocate(bad) },
    { name: "heap.allocate: options", call: (bad) => heap.allocate(8, bad), takes: isObject },
    { name: "heap.allocate: alignment", call: (alignment) => heap.allocate(8, { alignment }), takes: isAbsent },
    { name: "heap.allocateZeroed: size", call: (bad) => heap.allocateZeroed(bad) },
    { name: "heap.allocateZeroed: options", call: (bad) => heap.allocateZeroed(8, bad), takes: isObject },
    { name: "heap.reallocate: address", call: (bad) => heap.reallocate(bad, 8) },
    { name: "heap.reallocate: size", call: (bad) => heap.reallocate(address, bad) },
    { name: "heap.free", call: (bad) => heap.free(bad) },
    { name: "heap.bytes: size", call: (bad) => heap.bytes(bad) },
    { name: "heap.bytes: bytes to reuse", call: (bad) => heap.bytes(8, bad), takes: isReusable },
    { name: "heap.usableSize", call: (bad) => heap.usableSize(bad) },
    { name: "heap.allocateMany: size", call: (bad) => heap.allocateMany(bad, list) },
    { name: "heap.allocateMany: addresses", call: (bad) => heap.allocateMany(8, bad) },
    { name: "heap.freeMany", call: (bad) => heap.freeMany(bad) },
    { name: "frames.acquire: size", call: (bad) => frames.acquire(bad) },
    { name: "frames.acquire: bytes to reuse", call: (bad) => frames.acquire("small", bad), takes: isReusable },
    { name: "frames.release", call: (bad) => frames.release(bad) },
  ];
}

/** Gives the call one of everything: an error of the package, or a value that it takes. */
export function checkTypes(runtime: Runtime, { call, takes }: Call): void {
  for (const [index, value] of values(runtime).entries()) {
    let thrown: unknown;
    try {
      call(value);
    } catch (error) {
      thrown = error;
    }
    const what = `value ${index}, ${typeof value}: ${thrown}`;
    if (thrown !== undefined) expect(thrown instanceof TidemarkError, what).toBe(true);
    expect(thrown === undefined, what).toBe(takes?.(value) ?? false);
  }
  runtime.validate();
}
