import {
  type Bytes,
  type CursorOf,
  createRuntime,
  type FramePool,
  type FramePoolStats,
  type FrameSize,
  f64,
  type ObjectOf,
  type Pool,
  type PoolOptions,
  type PoolStats,
  type Ref,
  ref,
  struct,
  u32,
} from "tidemark";
import { describe, expectTypeOf, test } from "vitest";

// What is checked here is checked by the compiler: `tsc --noEmit` of the root reads this file. Nothing needs to run.

const Order = struct("Order", { price: f64, next: ref("Order") });
const Trade = struct("Trade", { id: u32, order: ref(Order) });
const Hooked = struct("Hooked", { id: u32 }, { destroy: (record) => void record.id });

type OrderFields = typeof Order.fields;
type OrderCursor = CursorOf<OrderFields>;

declare const orders: Pool<OrderFields>;
declare const order: OrderCursor;
declare const trade: CursorOf<typeof Trade.fields>;
declare const frames: FramePool;

/** The code inside is compiled, not run. */
const compiled = (_code: () => void) => {};

describe("a pool", () => {
  test("is of its struct", () => {
    compiled(async () => {
      const runtime = await createRuntime();
      expectTypeOf(runtime.pool(Order)).toEqualTypeOf<Pool<OrderFields>>();
      expectTypeOf(runtime.pool(Order, { capacity: 5, grow: true })).toEqualTypeOf<Pool<OrderFields>>();
      expectTypeOf(orders.type).toEqualTypeOf<typeof Order>();
      // @ts-expect-error: a struct is wanted
      runtime.pool(f64);
      // @ts-expect-error: a number is wanted
      runtime.pool(Order, { capacity: "5" });
      // @ts-expect-error: no such option
      runtime.pool(Order, { size: 5 });
      // @ts-expect-error: read-only
      orders.type = Order;
      // @ts-expect-error: read-only
      orders.count = 5;
    });
  });

  test("gives a ref, or the cursor that it was given", () => {
    compiled(() => {
      expectTypeOf(orders.new()).toEqualTypeOf<Ref<OrderFields>>();
      expectTypeOf(orders.new(order)).toEqualTypeOf<OrderCursor>();
      expectTypeOf(orders.cursor()).toEqualTypeOf<OrderCursor>();
      orders.new(order).price = 5;
      // @ts-expect-error: a cursor of another struct
      orders.new(trade);
      // @ts-expect-error: a ref cannot be moved
      orders.new(order.ref());
      // @ts-expect-error: no cursor
      orders.new(null);
      // @ts-expect-error: no cursor
      orders.new({ price: 5 });
    });
  });

  test("frees and knows records of its struct only", () => {
    compiled(() => {
      orders.free(order);
      orders.free(order.ref());
      orders.free(orders.new());
      expectTypeOf(orders.contains(order)).toEqualTypeOf<boolean>();
      expectTypeOf(orders.contains(order.ref())).toEqualTypeOf<boolean>();
      // @ts-expect-error: another struct
      orders.free(trade);
      // @ts-expect-error: another struct
      orders.free(trade.ref());
      // @ts-expect-error: an address is no record
      orders.free(1024);
      // @ts-expect-error: a field may refer to nothing
      orders.free(order.next);
      // @ts-expect-error: another struct
      orders.contains(trade);
    });
  });

  test("shows cursors of its struct", () => {
    compiled(() => {
      for (const each of orders) expectTypeOf(each).toEqualTypeOf<OrderCursor>();
      expectTypeOf([...orders].map((each) => each.toObject())).toEqualTypeOf<ObjectOf<OrderFields>[]>();
      expectTypeOf(orders.stats()).toEqualTypeOf<PoolStats>();
      expectTypeOf(orders.count).toEqualTypeOf<number>();
      expectTypeOf(orders.destroyed).toEqualTypeOf<boolean>();
      // @ts-expect-error: read-only
      orders.stats().count = 5;
    });
  });

  test("has a hook that is given cursors of its struct", () => {
    compiled(async () => {
      const runtime = await createRuntime();
      runtime.pool(Order, { destroy: (record) => expectTypeOf(record).toEqualTypeOf<OrderCursor>() });
      runtime.pool(Hooked, { destroy: ({ id }) => expectTypeOf(id).toEqualTypeOf<number>() });
      expectTypeOf<Parameters<NonNullable<PoolOptions<OrderFields>["destroy"]>>>().toEqualTypeOf<[OrderCursor]>();
      // @ts-expect-error: no such field
      runtime.pool(Order, { destroy: ({ prise }) => prise });
      // @ts-expect-error: another struct
      runtime.pool(Order, { destroy: (record: typeof trade) => record.id });
    });
  });
});

describe("a frame pool", () => {
  test("gives and takes bytes, by the names of sizes", () => {
    compiled(async () => {
      const runtime = await createRuntime();
      expectTypeOf(runtime.framePool({ small: 512 })).toEqualTypeOf<FramePool>();
      expectTypeOf(frames.acquire("small")).toEqualTypeOf<Bytes>();
      expectTypeOf(frames.acquire("large", runtime.bytes())).toEqualTypeOf<Bytes>();
      expectTypeOf<Parameters<FramePool["acquire"]>[0]>().toEqualTypeOf<FrameSize>();
      expectTypeOf(frames.stats()).toEqualTypeOf<FramePoolStats>();
      expectTypeOf(frames.stats().inUse.medium).toEqualTypeOf<number>();
      frames.release(frames.acquire("medium"));
      // @ts-expect-error: no such size
      frames.acquire("tiny");
      // @ts-expect-error: no such size
      runtime.framePool({ tiny: 5 });
      // @ts-expect-error: no bytes
      frames.acquire("small", order);
      // @ts-expect-error: no bytes
      frames.release(order);
    });
  });
});
