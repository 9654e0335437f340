import { Socket } from "node:net";
import {
  Baton,
  type Bytes,
  Channel,
  Condition,
  coalesce,
  createLoop,
  type EventContext,
  type Fiber,
  f64,
  type Handler,
  type Kind,
  type Loop,
  Mutex,
  type Region,
  type RingMessage,
  type Runtime,
  Semaphore,
  type SourceReport,
  select,
  struct,
  type Timer,
  type Timers,
  type TimerTarget,
  WaitGroup,
} from "tidemark";
import { describe, expectTypeOf, test } from "vitest";
import { WebSocket as NodeWebSocket } from "ws";

const Level = struct("Level", { price: f64 });

declare const runtime: Runtime;
declare const loop: Loop;
declare const timers: Timers;

/** The code inside is compiled, not run. */
const compiled = (_code: () => void) => {};

describe("a kind", () => {
  test("takes the payload that its handler declares", () => {
    compiled(() => {
      const depth = loop.on("depth", (message: Uint8Array, { region, sequence, kind }) => {
        expectTypeOf(message).toEqualTypeOf<Uint8Array>();
        expectTypeOf(region).toEqualTypeOf<Region>();
        expectTypeOf(sequence).toEqualTypeOf<number>();
        expectTypeOf(kind).toEqualTypeOf<Kind<Uint8Array>>();
        region.new(Level).price = 1;
      });
      expectTypeOf(depth).toEqualTypeOf<Kind<Uint8Array>>();
      depth.post(new Uint8Array(4));
      // @ts-expect-error: bytes are wanted
      depth.post("bytes");
      // @ts-expect-error: bytes are wanted
      depth.post();
      // @ts-expect-error: read-only
      depth.name = "other";
    });
  });

  test("takes the payload that it is declared with", () => {
    compiled(() => {
      const tick = loop.on<{ at: number }>("tick", async ({ at }, context) => {
        expectTypeOf(at).toEqualTypeOf<number>();
        expectTypeOf(context).toEqualTypeOf<EventContext<{ at: number }>>();
        // @ts-expect-error: read-only
        context.region = null as never;
      });
      tick.post({ at: 1 });
      // @ts-expect-error: `at` is missing
      tick.post({});
      const union = loop.on("union", (payload: "open" | "shut" | number) => payload);
      union.post("open");
      union.post(5);
      // @ts-expect-error: neither of them
      union.post("ajar");
    });
  });

  test("is none of a wider payload, which its handler does not take", () => {
    compiled(() => {
      const narrow = loop.on("narrow", (_: number) => {});
      const wide = loop.on("wide", (_: number | string) => {});
      expectTypeOf<typeof wide>().toExtend<typeof narrow>();
      expectTypeOf<typeof narrow>().toExtend<Kind>(); // of whatever payload
      // @ts-expect-error: its handler takes no string
      const widened: typeof wide = narrow;
      // @ts-expect-error: the handler's own kind takes no string either
      const handler: Handler<number> = (_, { kind }: EventContext<number | string>) => kind.post("text");
      return [widened, handler];
    });
  });

  test("without a payload needs none", () => {
    compiled(() => {
      const bare = loop.on<void>("bare", () => {});
      bare.post();
      // @ts-expect-error: nothing is wanted
      bare.post(5);
    });
  });

  test("tells what happened to a post", () => {
    compiled(() => {
      const kind = loop.on("kind", (_payload: number) => {});
      expectTypeOf(kind.post(1)).toEqualTypeOf<"queued" | "spilled" | "displaced" | "coalesced" | "rejected">();
    });
  });
});

describe("a handler", () => {
  test("that is a generator function yields what it likes, and may name what a yield gives", () => {
    compiled(() => {
      const kind = loop.on("kind", function* (payload: string, { region, signal }) {
        expectTypeOf(payload).toEqualTypeOf<string>();
        expectTypeOf(region).toEqualTypeOf<Region>();
        expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
        const posted: boolean = yield new Baton().wait(5);
        if (!posted) yield loop.sleep(1);
        return 7;
      });
      expectTypeOf(kind).toEqualTypeOf<Kind<string>>();
      // @ts-expect-error: a string is wanted
      kind.post(1);
    });
  });

  test("may call generators that stand alone, if these are annotated", () => {
    compiled(() => {
      // biome-ignore lint/suspicious/noExplicitAny: as the README says
      function* transfer(baton: Baton): Generator<unknown, boolean, any> {
        const posted = yield baton.wait(5);
        return posted;
      }
      const fiber = loop.spawn(function* () {
        const posted = yield* transfer(new Baton());
        expectTypeOf(posted).toEqualTypeOf<boolean>();
        return posted;
      });
      expectTypeOf(fiber).toEqualTypeOf<Fiber<boolean>>();
    });
  });

  test("has options for its kind, whose key takes the kind's payload", () => {
    compiled(() => {
      const quote = (_: { symbol: string }) => {};
      loop.on("quote", quote, { policy: coalesce(({ symbol }) => symbol), priority: "low", deadline: 5 });
      loop.on("quote", quote, { policy: "drop-oldest" });
      // @ts-expect-error: the payload is no number
      loop.on("quote", quote, { policy: coalesce((price: number) => price) });
      // @ts-expect-error: no such priority
      loop.on("quote", quote, { priority: "urgent" });
    });
  });
});

describe("a loop", () => {
  test("refuses options of another type", () => {
    compiled(() => {
      createLoop(runtime, { queue: { capacity: 8, overflow: 8, policy: "spill" } });
      // @ts-expect-error: no such policy
      createLoop(runtime, { queue: { policy: "lose" } });
      // @ts-expect-error: a number is wanted
      createLoop(runtime, { queue: { capacity: "8" } });
      // @ts-expect-error: no such option
      createLoop(runtime, { ring: 8 });
    });
  });
  test("has fibers whose results have types, timers whose payloads fit their targets, and sleeps", () => {
    compiled(() => {
      const fiber = loop.spawn(function* () {
        yield;
        return 7;
      });
      expectTypeOf(fiber).toEqualTypeOf<Fiber<number>>();
      expectTypeOf(loop.spawn(function* () {}, { detached: true })).toEqualTypeOf<undefined>();
      const kind = loop.on("kind", (_: string) => {});
      expectTypeOf(loop.after(5, kind, "text")).toEqualTypeOf<Timer>();
      // @ts-expect-error: the kind takes a string
      loop.after<string>(5, kind, 5);
      expectTypeOf(loop.timers).toEqualTypeOf<Timers>();
      loop.sleep(5).then((nothing) => expectTypeOf(nothing).toEqualTypeOf<void>());
      loop.run({ signal: AbortSignal.timeout(5) });
      // @ts-expect-error: a signal is wanted
      loop.run({ signal: new AbortController() });
    });
  });
});

describe("a timer", () => {
  test("is given what its target takes, which only a target that can do without may leave out", () => {
    compiled(() => {
      const kind = loop.on("kind", (_: { symbol: string }) => {});
      const bare = loop.on<void>("bare", () => {});
      const relaxed = (_?: string) => {};
      for (const target of [loop, timers]) {
        target.after(5, kind, { symbol: "a" }).restart();
        target.after(5, bare).restart();
        target.after(5, new Baton()).restart();
        target.after(5, relaxed).restart();
        target.after(5, (text) => expectTypeOf(text).toEqualTypeOf<string>(), "text");
        target.every(5, (text) => expectTypeOf(text).toEqualTypeOf<string>(), { payload: "text" });
        target.every(5, () => {}, { drift: "skip" });
        target.every(5, bare);
        // @ts-expect-error: the handler takes an object
        target.after(5, kind);
        // @ts-expect-error: the function takes a text
        target.after(5, (text: string) => text.length);
        // @ts-expect-error: the function takes a text
        target.after(5, (text: string) => text.length, 5);
        // @ts-expect-error: the handler takes an object
        target.every(5, kind);
        // @ts-expect-error: the handler takes an object
        target.every(5, kind, { drift: "skip" });
        // @ts-expect-error: the handler takes an object
        target.every(5, kind, { payload: { symbol: 5 } });
      }
      timers.arm(5, kind, { symbol: "a" });
      timers.arm(5, relaxed);
      // @ts-expect-error: the handler takes an object
      timers.arm(5, kind);
      // @ts-expect-error: the function takes a text
      timers.arm(5, (text: string) => text.length);
    });
  });

  test("of any target is armed with its payload by code that knows neither", () => {
    compiled(() => {
      const later = <Payload>(target: TimerTarget<Payload>, payload: Payload) => timers.arm(5, target, payload);
      later(new Baton(), undefined);
      later((_: number) => {}, 5);
    });
  });
});

describe("a select", () => {
  test("gives a value whose type its index tells", () => {
    compiled(async () => {
      const numbers = new Channel<number>(1);
      const texts = new Channel<string>(1);
      const chosen = await select([numbers.receive(), texts.receive(), new Mutex().lock()], 5);
      if (chosen?.index === 0) expectTypeOf(chosen.value).toEqualTypeOf<number | undefined>();
      if (chosen?.index === 1) expectTypeOf(chosen.value).toEqualTypeOf<string | undefined>();
      if (chosen?.index === 2) expectTypeOf(chosen.value).toEqualTypeOf<boolean>();
      // @ts-expect-error: there are three
      if (chosen?.index === 3) return;
      const many = [numbers.receive(), numbers.receive()];
      expectTypeOf((await select(many)).index).toEqualTypeOf<number>();
      expectTypeOf((await select(many)).value).toEqualTypeOf<number | undefined>();
    });
  });

  test("takes what it can choose from, and no other waits", () => {
    compiled(() => {
      const receive = () => new Channel<number>(1).receive();
      select([receive(), new Semaphore(1).acquire(), new WaitGroup().wait()]);
      // @ts-expect-error: a baton has one waiter
      select([receive(), new Baton().wait()]);
      // @ts-expect-error: a condition's mutex has to be got
      select([receive(), new Condition(new Mutex()).wait()]);
      // @ts-expect-error: time is what its second argument limits
      select([receive(), loop.sleep(5)]);
    });
  });
});

describe("a source", () => {
  test("takes a kind of messages, and every kind of stream as its own types declare it", () => {
    compiled(async () => {
      const lines = loop.on("line", (message: RingMessage) => message.length);
      const bytes = loop.on("bytes", (message: Bytes) => message.length);
      const texts = loop.on("text", (text: string) => text.length);
      loop.source(lines, process.stdin, { framing: "line" });
      loop.source(bytes, new Socket());
      loop.source(lines, new NodeWebSocket("ws://x"), { map: (data: Buffer) => data });
      loop.source(lines, new WebSocket("ws://x"));
      loop.source(lines, new Blob().stream());
      loop.source(lines, new Worker("x"), { event: "message", map: (event: MessageEvent) => String(event.data) });
      const source = loop.source(lines, (async function* () {})());
      expectTypeOf(await source.done).toEqualTypeOf<SourceReport>();
      // @ts-expect-error: the messages are bytes
      loop.source(texts, process.stdin);
      // @ts-expect-error: no stream
      loop.source(lines, "text");
      // @ts-expect-error: no such framing
      loop.source(lines, process.stdin, { framing: "lines" });
      // @ts-expect-error: neither bytes nor text
      loop.source(lines, process.stdin, { map: () => 5 });
    });
  });
});
