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
import { RandomNumbers } from "../support/randomNumbers.js";
import { modules, Owner, PAGE, withRuntime } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";
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
      withRing(framing, (ring) => {
        for (let seed = 1; seed <= scaled(30); seed++) playAgainstModel(ring, framing, seed);
        // What was open has moved to the beginning, time and again.
        if (framing !== "message") expect(ring.stats().moved).toBeGreaterThan(1000);
        expect(ring.stats().highWater).toBeGreaterThan(ring.stats().capacity * 0.7);
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
        const { open } = ring;
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

/** Sends random messages through the ring in random pieces, and holds what comes out against the messages themselves. */
function playAgainstModel(ring: MessageRing, framing: Framing, seed: number): void {
  const random = new RandomNumbers(seed);
  const upTo = (limit: number) => random.below(limit);
  const messages = Array.from({ length: 500 }, () => {
    const length = upTo(6) === 0 ? upTo(MAXIMUM + 1) : upTo(120);
    // No newlines inside, and no carriage return at the end.
    return Uint8Array.from({ length }, (_, index) => (index === length - 1 ? 97 : 11 + upTo(240)));
  });
  const stream = framed(framing, messages, () => upTo(2) === 0);
  const held: { message: RingMessage; expected: Uint8Array }[] = [];
  let arrived = 0;
  let sent = 0;

  const releaseOne = () => {
    const index = upTo(3) === 0 ? upTo(held.length) : 0;
    const [{ message, expected }] = held.splice(index, 1) as [(typeof held)[0]];
    // Compared when it ends: whatever has come meanwhile must not have touched it.
    expect(Buffer.compare(message.view(), expected)).toBe(0);
    message.$end();
  };
  const takeAll = () => {
    for (;;) {
      const found = ring.next();
      if (typeof found === "number") return found;
      held.push({ message: found, expected: messages[arrived++]! });
      if (framing === "message") return NOTHING_FRAMED;
    }
  };

  for (let step = 0; arrived < messages.length; step++) {
    if (step > 100_000) throw new Error(`seed ${seed} gets no further than message ${arrived}`);
    if (step % 16 === 0) ring.validate();
    if (framing === "message") {
      if (ring.write(messages[sent]!)) {
        while (takeAll() === NO_ENTRY) releaseOne();
        sent++;
      } else releaseOne();
    } else {
      const piece = stream.subarray(sent, sent + 1 + upTo(upTo(4) === 0 ? 5000 : 300));
      const from = upTo(2) === 0 ? 0 : Math.min(upTo(40), sent);
      // Once whole, and once from its midst.
      const taken = ring.fill(stream.subarray(sent - from, sent + piece.length), from);
      sent += taken;
      if (takeAll() === NO_ENTRY || (taken === 0 && piece.length > 0)) releaseOne();
    }
    while (held.length > 0 && upTo(4) === 0) releaseOne();
  }
  while (held.length > 0) releaseOne();
  ring.validate();
  expect(ring.stats()).toMatchObject({ used: 0, messages: 0 });
}
