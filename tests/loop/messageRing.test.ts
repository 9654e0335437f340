import fc from "fast-check";
import {
  CorruptionError,
  createRuntime,
  OutOfMemoryError,
  type RingMessage,
  SealedError,
  type Source,
  StaleReferenceError,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { type Framing, MessageRing } from "../../build/bindings/loop/messageRing.js";
import { NO_ENTRY, NOTHING_FRAMED, Ring, TOO_LONG } from "../../build/bindings/loop/messageRingLayout.js";
import { modules, Owner, PAGE, withRuntime } from "../support/runtimes.js";
import { scale, scaled } from "../support/scale.js";
import { bytesOf, framed } from "./sourceSupport.js";

const MAXIMUM = 3000;
const RING_BYTES = 8192;
/** One that wants to know nothing. */
const SOURCE = { $released() {} } as Source;

describe.each(modules)("a message ring of the $name module", ({ debug }) => {
  const withRing = (framing: Framing, body: (ring: MessageRing) => void, bytes = RING_BYTES, maximum = MAXIMUM) =>
    withRuntime({ debug }, (runtime) => {
      const ring = new MessageRing(runtime.$memory, framing, bytes, maximum, SOURCE);
      body(ring);
      ring.dispose();
      expect(runtime.stats().bytesByOwner.messageRings).toBe(0);
      runtime.validate();
    });

  test.each<Framing>(["line", "length", "length-le", "message"])(
    "gives every message of every chunking as a plain queue would, released in any order: %s",
    (framing) =>
      withRuntime({ debug }, (runtime) => {
        let moved = 0;
        let fullest = 0;
        fc.assert(
          fc.property(fc.array(operation, { maxLength: 150, size: "max" }), (operations) => {
            const ring = new MessageRing(runtime.$memory, framing, RING_BYTES, MAXIMUM, SOURCE);
            try {
              const model = new RingAndQueue(ring, framing);
              for (const operation of operations) model.play(operation);
              model.finish();
              const stats = ring.stats();
              moved += stats.moved;
              fullest = Math.max(fullest, stats.highWater / stats.capacity);
            } finally {
              ring.dispose();
            }
          }),
          { numRuns: scaled(40) },
        );
        runtime.validate();
        if (scale < 1) return;
        // What was open has moved to the beginning, time and again.
        if (framing !== "message") expect(moved).toBeGreaterThan(1000);
        expect(fullest).toBeGreaterThan(0.7);
      }),
  );

  test("a message that is released is stale, and its place is another's only when all older ones are released", () =>
    withRing("line", (ring) => {
      ring.fill(bytesOf("one\ntwo\n\n"), 0);
      const [one, two, empty] = [next(ring), next(ring), next(ring)];
      expect(ring.next()).toBe(NOTHING_FRAMED);
      expect([String(one), String(two), String(empty)]).toEqual(["one", "two", ""]);
      two.$end();
      expect(() => two.get(0)).toThrow(StaleReferenceError);
      expect(() => two.address).toThrow(StaleReferenceError);
      expect(() => two.view()).toThrow(StaleReferenceError);
      expect(ring.stats()).toMatchObject({ messages: 3, used: 9 });
      two.$end(); // nothing happens
      one.$end();
      expect(ring.stats().messages).toBe(1);
      empty.$end();
      expect(ring.stats()).toMatchObject({ messages: 0, used: 0, messagesHighWater: 3, highWater: 9 });
    }));

  test("a message that was kept shows another one in the release module only, where objects are used again", () =>
    withRing("line", (ring) => {
      ring.fill(bytesOf("one\n"), 0);
      const one = next(ring);
      one.$end();
      ring.fill(bytesOf("two\n"), 0);
      const two = next(ring);
      if (debug) expect(() => one.toString()).toThrow(StaleReferenceError);
      else expect(one).toBe(two);
      two.$end();
    }));

  test("a full ring takes nothing, and goes on when the oldest message is released", () =>
    withRing("message", (ring) => {
      const chunk = new Uint8Array(1000).fill(7);
      const held: RingMessage[] = [];
      while (ring.write(chunk)) held.push(next(ring));
      expect(held.length).toBe(Math.floor(ring.stats().capacity / 1000));
      held.at(-1)!.$end();
      expect(ring.write(chunk)).toBe(false);
      held[0]!.$end();
      expect(ring.write(chunk)).toBe(true);
      const last = next(ring);
      ring.validate();
      for (const message of held.slice(1, -1)) {
        expect(message.view()).toEqual(chunk);
        message.$end();
      }
      expect(last.view()).toEqual(chunk);
      last.$end();
    }));

  test("an empty message that ends a full ring, where the oldest began a lap before, leaves it empty", () =>
    withRing(
      "length",
      (ring) => {
        const { capacity } = ring.stats();
        const prefixed = (length: number) => {
          const bytes = new Uint8Array(4 + length);
          new DataView(bytes.buffer).setUint32(0, length);
          return bytes;
        };
        const half = capacity >>> 1;
        ring.fill(prefixed(half - 4), 0);
        ring.fill(prefixed(capacity - half - 4), 0);
        const [first, second] = [next(ring), next(ring)];
        expect(ring.fill(prefixed(0), 0)).toBe(4);
        const empty = next(ring);
        expect(ring.stats().used).toBe(capacity);
        ring.validate();
        second.$end();
        first.$end();
        ring.validate();
        expect(ring.stats()).toMatchObject({ messages: 1, used: 0 });
        expect(ring.fill(prefixed(half - 4), 0)).toBe(half);
        ring.validate();
        for (const message of [empty, next(ring)]) message.$end();
      },
      40_000,
      30_000,
    ));

  test("what is open moves to the beginning where the end leaves it no room, once, and not over what is held", () =>
    withRing(
      "line",
      (ring) => {
        const { capacity } = ring.stats();
        const first = new Uint8Array(capacity - 100).fill(97);
        // Lines of 1,000, and then one of which 50 bytes are there.
        for (let end = 999; end < first.length - 50; end += 1000) first[end] = 10;
        ring.fill(first, 0);
        const held: RingMessage[] = [];
        for (let found = ring.next(); typeof found !== "number"; found = ring.next()) held.push(found);
        const { unfinished: open } = ring;
        held.shift()!.$end();
        held.shift()!.$end();
        expect(ring.stats().moved).toBe(0);
        const rest = new Uint8Array(1500 - open).fill(98);
        rest[rest.length - 1] = 10;
        expect(ring.fill(rest, 0)).toBe(rest.length);
        expect(ring.stats().moved).toBe(open);
        const line = next(ring);
        expect(line.toString()).toBe("a".repeat(open) + "b".repeat(rest.length - 1));
        ring.validate();
        for (const message of [...held, line]) message.$end();
      },
      200_000,
    ));

  test("a line or prefix that promises too much is found before it fills the ring, and can be left out", () =>
    withRing(
      "line",
      (ring) => {
        const long = "x".repeat(MAXIMUM + 1);
        ring.fill(bytesOf(long), 0);
        expect(ring.next()).toBe(TOO_LONG);
        expect(ring.next()).toBe(TOO_LONG);
        expect(ring.tooLong).toBe(MAXIMUM + 1);
        ring.skip();
        ring.fill(bytesOf(`${long}\n${long}\r\n${long.slice(1)}\r\n`), 0);
        expect(ring.next()).toBe(TOO_LONG);
        ring.skip();
        const line = next(ring);
        expect(line.length).toBe(MAXIMUM);
        line.$end();
        expect(ring.next()).toBe(NOTHING_FRAMED);
      },
      20_000,
    ));

  test("a line as long as may be is whole, wherever its end is cut in two", () =>
    withRing("line", (ring) => {
      const longest = "x".repeat(MAXIMUM);
      for (const end of ["\n", "\r\n"]) {
        for (let cut = -1; cut <= end.length; cut++) {
          const line = bytesOf(longest + end);
          const at = MAXIMUM + cut;
          ring.fill(line.subarray(0, at), 0);
          if (cut < end.length) expect(ring.next()).toBe(NOTHING_FRAMED);
          ring.fill(line.subarray(at), 0);
          const message = next(ring);
          expect(String(message)).toBe(longest);
          message.$end();
        }
      }
      ring.fill(bytesOf(`${longest}\r`), 0);
      expect(ring.next()).toBe(NOTHING_FRAMED);
      ring.fill(bytesOf("x"), 0); // then it was no end
      expect(ring.next()).toBe(TOO_LONG);
      ring.skip();
    }));

  test("an entry that is none is not released", () =>
    withRing("line", (ring) => {
      ring.fill(bytesOf("one\n"), 0);
      const one = next(ring);
      const before = ring.stats();
      const { exports } = ring.$memory;
      const entries = ring.$memory.u32[(ringAddress(ring) + Ring.ENTRIES) >>> 2]!;
      for (const slot of [entries, entries + 1, 1 << 16, 0x0fff_ffff, 0xffff_ffff]) {
        expect(exports.releaseMessage(ringAddress(ring), slot)).toBe(0);
      }
      ring.validate();
      expect(ring.stats()).toEqual(before);
      expect(String(one)).toBe("one");
      one.$end();
    }));

  test("a number of entries that was written over is told of, and not gone by", () =>
    withRing("line", (ring) => {
      const { u32 } = ring.$memory;
      const word = (ringAddress(ring) + Ring.ENTRIES) >>> 2;
      const entries = u32[word]!;
      for (const written of [0, entries >>> 1, entries << 1, 1 << 31, 0xffff_ffff]) {
        u32[word] = written;
        expect(() => ring.validate()).toThrow(CorruptionError);
      }
      u32[word] = entries;
      ring.validate();
    }));

  test("a prefix of 4 GiB is too long, and what it promises is left out as it comes", () =>
    withRing("length", (ring) => {
      ring.fill(new Uint8Array([255, 255, 255, 255, 1, 2, 3]), 0);
      expect(ring.next()).toBe(TOO_LONG);
      expect(ring.tooLong).toBe(0xffff_ffff);
      ring.skip();
      for (let chunk = 0; chunk < 100; chunk++) {
        expect(ring.fill(new Uint8Array(5000), 0)).toBe(5000);
        expect(ring.next()).toBe(NOTHING_FRAMED);
      }
      expect(ring.unfinished).toBe(4 + 3 + 100 * 5000);
      expect(ring.stats().used).toBe(0);
    }));

  test("messages without bytes run out of entries before they run out of room", () =>
    withRing("line", (ring) => {
      ring.fill(bytesOf("\n".repeat(4000)), 0);
      const held: RingMessage[] = [];
      let found = ring.next();
      for (; typeof found !== "number"; found = ring.next()) held.push(found);
      expect(found).toBe(NO_ENTRY);
      expect(held.length).toBe(ring.$memory.u32[(ringAddress(ring) + Ring.ENTRIES) >>> 2]);
      ring.validate();
      for (let rounds = 0; held.length > 0; rounds++) {
        held.shift()!.$end();
        found = ring.next();
        if (typeof found !== "number") held.push(found);
        if (rounds % 500 === 0) ring.validate();
      }
      expect(ring.stats()).toMatchObject({ used: 0, messages: 0 });
    }));

  test("validate finds a damaged header and entries", () =>
    withRing("line", (ring) => {
      ring.fill(bytesOf("one\ntwo\n"), 0);
      const held = [next(ring), next(ring)];
      const { u32 } = ring.$memory;
      const base = ringAddress(ring) >>> 2;
      for (const offset of [
        Ring.HEAD,
        Ring.FRAME,
        Ring.TAIL,
        Ring.COUNT,
        Ring.ENTRY_LIST + 8,
        Ring.ENTRY_LIST + 12,
        Ring.ENTRY_LIST + 16,
      ]) {
        const word = base + (offset >>> 2);
        const before = u32[word]!;
        u32[word] = before + 100_000;
        expect(() => ring.validate()).toThrow(CorruptionError);
        u32[word] = before;
      }
      ring.validate();
      for (const message of held) message.$end();
    }));
});

test("a ring for which there is no memory is refused, and takes none", async () => {
  using runtime = await createRuntime({ maximumBytes: 4 << 20 });
  const make = (bytes: number) => new MessageRing(runtime.$memory, "line", bytes, 100, SOURCE);
  expect(() => make(1 << 24)).toThrow(OutOfMemoryError);
  runtime.seal();
  expect(() => make(2 << 20)).toThrow(SealedError);
  expect(runtime.stats().bytesByOwner.messageRings).toBe(0);
});

test("looking for the end of a line costs a step for 16 bytes, and none for bytes that were looked at before", () =>
  withRuntime({ debug: true }, (runtime) => {
    const ring = new MessageRing(runtime.$memory, "line", 1 << 20, 1 << 19, SOURCE);
    runtime.$memory.setRootWord("ROOT_STEPS", 0);
    const chunk = new Uint8Array(1600).fill(97);
    for (let count = 0; count < 300; count++) {
      ring.fill(chunk, 0);
      expect(ring.next()).toBe(NOTHING_FRAMED);
    }
    expect(runtime.$memory.rootWord("ROOT_STEPS")).toBe(300 * 100);
    ring.dispose();
  }));

function next(ring: MessageRing): RingMessage {
  const found = ring.next();
  if (typeof found === "number") throw new Error(`no message: ${found}`);
  return found;
}

/** The address of the ring, the only one of its runtime. */
function ringAddress(ring: MessageRing): number {
  const { exports } = ring.$memory;
  for (let page = 0; page < 100; page++) if (exports.ownerOf(page * PAGE) === Owner.MESSAGE_RINGS) return page * PAGE;
  throw new Error("no page belongs to a message ring");
}

/** What a program and a stream do in turn. */
type Operation =
  | { readonly type: "messages"; readonly lengths: readonly number[]; readonly hasReturn: boolean }
  | { readonly type: "arrive"; readonly bytes: number; readonly before: number }
  | { readonly type: "release"; readonly count: number; readonly place: number };

const length = fc.oneof({ weight: 5, arbitrary: fc.nat(120) }, { weight: 1, arbitrary: fc.nat(MAXIMUM) });
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    type: fc.constant("messages" as const),
    lengths: fc.array(length, { minLength: 1, maxLength: 12 }),
    hasReturn: fc.boolean(),
  }),
  fc.record({
    type: fc.constant("arrive" as const),
    bytes: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 5000 })),
    before: fc.nat(40),
  }),
  fc.record({
    type: fc.constant("release" as const),
    count: fc.integer({ min: 1, max: 8 }),
    place: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
  }),
);

/** A ring beside a plain queue of the messages that have been sent through it. */
class RingAndQueue {
  readonly #ring: MessageRing;
  readonly #framing: Framing;
  readonly #messages: Uint8Array[] = [];
  #stream: Uint8Array = new Uint8Array(0);
  /** Bytes of the stream that the ring has taken; under "message", messages. */
  #sent = 0;
  #arrived = 0;
  readonly #held: { readonly message: RingMessage; readonly expected: Uint8Array }[] = [];

  constructor(ring: MessageRing, framing: Framing) {
    this.#ring = ring;
    this.#framing = framing;
  }

  play(operation: Operation): void {
    if (operation.type === "messages") this.#write(operation.lengths, operation.hasReturn);
    else if (operation.type === "arrive") this.#arrive(operation.bytes, operation.before);
    else for (let count = 0; count < operation.count && this.#held.length > 0; count++) this.#release(operation.place);
    this.#ring.validate();
  }

  /** Lets all arrive that was written, and releases all. */
  finish(): void {
    while (this.#arrived < this.#messages.length) if (!this.#arrive(5000, 0)) this.#release(0);
    while (this.#held.length > 0) this.#release(0);
    this.#ring.validate();
    expect(this.#ring.stats()).toMatchObject({ used: 0, messages: 0 });
  }

  #write(lengths: readonly number[], hasReturn: boolean): void {
    const messages = lengths.map((length) => {
      const stamp = this.#messages.length + length;
      // No newlines inside, and no carriage return at the end.
      return Uint8Array.from({ length }, (_, index) => (index === length - 1 ? 97 : 11 + ((stamp + 7 * index) % 240)));
    });
    this.#messages.push(...messages);
    if (this.#framing === "message") return;
    const rest = this.#stream.subarray(this.#sent);
    this.#stream = Buffer.concat([rest, framed(this.#framing, messages, () => hasReturn)]);
    this.#sent = 0;
  }

  /** Sends the next bytes, as part of a chunk that has others before them; or the next message. False if there was no room. */
  #arrive(bytes: number, before: number): boolean {
    const ring = this.#ring;
    if (this.#framing === "message") {
      const message = this.#messages[this.#sent];
      if (message === undefined) return true;
      if (ring.write(message)) this.#sent++;
      else return this.#isFull();
    } else {
      const end = Math.min(this.#sent + bytes, this.#stream.length);
      const from = Math.min(before, this.#sent);
      const taken = ring.fill(this.#stream.subarray(this.#sent - from, end), from);
      const isRefused = taken === 0 && this.#sent < end;
      this.#sent += taken;
      if (isRefused) return this.#isFull();
    }
    return this.#take() === NOTHING_FRAMED || this.#isFull();
  }

  /** Always false: a ring has no room for as long as something is held, and no longer. */
  #isFull(): false {
    expect(this.#held.length).toBeGreaterThan(0);
    return false;
  }

  /** Takes what is whole. */
  #take(): number {
    for (;;) {
      if (this.#framing === "message" && this.#arrived === this.#sent) return NOTHING_FRAMED;
      const found = this.#ring.next();
      if (typeof found === "number") return found;
      this.#held.push({ message: found, expected: this.#messages[this.#arrived++]! });
    }
  }

  #release(place: number): void {
    const [{ message, expected }] = this.#held.splice(Math.floor(place * this.#held.length), 1) as [
      { readonly message: RingMessage; readonly expected: Uint8Array },
    ];
    // Compared when it ends: whatever has come meanwhile must not have touched it.
    expect(Buffer.compare(message.view(), expected)).toBe(0);
    message.$end();
    this.#take(); // which had no entry perhaps
  }
}
