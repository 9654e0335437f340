import {
  Baton,
  createLoop,
  createRuntime,
  InvalidArgumentError,
  type Kind,
  LoopClosedError,
  type RingMessage,
  type Source,
  SourceError,
  type SourceStream,
  StaleReferenceError,
} from "tidemark";
import { describe, expect, test } from "vitest";
import type { Framing } from "../../build/bindings/loop/messageRing.js";
import { RandomNumbers } from "../support/randomNumbers.js";
import { modules } from "../support/runtimes.js";
import { scaled } from "../support/scale.js";
import { bytesOf, Faucet, framed, settled, withLoop } from "./sourceSupport.js";

describe("messages", () => {
  test("come to the handler in order, and the source ends with its stream, all of them handled", () =>
    withLoop(async ({ loop, kind, texts }) => {
      const faucet = new Faucet();
      const source = loop.source(kind, faucet);
      for (const text of ["one", "", "two €"]) faucet.send(bytesOf(text));
      faucet.send("three €");
      const run = loop.runUntilIdle();
      expect(texts).toEqual([]); // none is handled inside the stream's event
      faucet.end();
      const report = await source.done;
      await run;
      expect(texts).toEqual(["one", "", "two €", "three €"]);
      expect(report).toEqual({ messages: 4, bytes: 19, dropped: 0, skipped: 0, pauses: 0, ended: "end" });
      expect(source.stats()).toMatchObject({ state: "ended", messages: 4 });
      expect(faucet.listeners).toBe(1); // one that ignores what comes behind the end
      expect(faucet.destroyed).toBe(false);
    }));

  /** The messages of these chunks. */
  const readAll = async (framing: Framing, chunks: readonly (string | Uint8Array)[]) => {
    let found: string[] = [];
    await withLoop(async ({ loop, kind, texts }) => {
      const faucet = new Faucet();
      const source = loop.source(kind, faucet, { framing });
      for (const chunk of chunks) faucet.send(chunk);
      faucet.end();
      await Promise.all([source.done, loop.runUntilIdle()]);
      found = texts;
    });
    return found;
  };

  test("are lines however they are cut, the last one also without an end, but none where nothing is left", async () => {
    const read = (...chunks: (string | Uint8Array)[]) => readAll("line", chunks);
    expect(await read("a\nb\r\nc")).toEqual(["a", "b", "c"]);
    expect(await read("a\r", "\nb\n")).toEqual(["a", "b"]);
    expect(await read("\n\r\n\r\r\n\rx\r")).toEqual(["", "", "\r", "\rx\r"]);
    expect(await read()).toEqual([]);
    const euro = bytesOf("€\n");
    expect(await read(euro.subarray(0, 1), euro.subarray(1, 2), euro.subarray(2))).toEqual(["€"]);
    expect(await read("\u{1f600}".repeat(1000), "\n", "\ud800")).toEqual(["\u{1f600}".repeat(1000), "\ufffd"]);
  });

  describe("of texts", () => {
    const [high, low] = ["\ud83d", "\ude00"];

    test("are the same where a cut goes through a character, with or without nothing in between", async () => {
      const text = `\u{1f600}ab\u{1f600}\u{1f600}\n${high}x${low}`;
      const expected = ["\u{1f600}ab\u{1f600}\u{1f600}", "\ufffdx\ufffd"];
      for (let first = 0; first <= text.length; first++) {
        for (let second = first; second <= text.length; second++) {
          const pieces = [text.slice(0, first), text.slice(first, second), text.slice(second)];
          expect(await readAll("line", pieces)).toEqual(expected);
        }
      }
      expect(await readAll("length", ["\0\0\0\x05x", high, low, `\0\0\0\x03${high}`])).toEqual([
        "x\u{1f600}",
        "\ufffd",
      ]);
    });

    test("have U+FFFD for half a character that the next chunk does not complete: bytes, or another message", async () => {
      expect(await readAll("line", [`a${high}`, bytesOf("b"), high, `${high}${low}`, low])).toEqual([
        "a\ufffdb\ufffd\u{1f600}\ufffd",
      ]);
      expect(await readAll("message", [high, low])).toEqual(["\ufffd", "\ufffd"]);
    });

    test("are the same through a small ring and a full queue", () =>
      withLoop(
        async ({ loop, kind, texts }) => {
          const lines = Array.from({ length: 300 }, (_, index) => `${index}${"\u{1f600}".repeat(index % 70)}`);
          const faucet = new Faucet();
          const source = loop.source(kind, faucet, { framing: "line", ringBytes: 1024, maximumMessageBytes: 1000 });
          const run = loop.run();
          const random = new RandomNumbers(1);
          const text = lines.join("\n");
          for (let sent = 0; sent < text.length; ) {
            const piece = text.slice(sent, sent + 1 + random.below(500));
            sent += piece.length;
            faucet.send(piece);
            while (faucet.paused && random.below(2) === 0) await settled(); // at times one more comes all the same
          }
          faucet.end();
          expect(await source.done).toMatchObject({ messages: lines.length });
          expect(texts).toEqual(lines);
          await loop.close();
          await run;
        },
        { queue: { capacity: 4 } },
      ));

    test("that end in half a character are told of with what is behind them: a failure of the stream, or its overrun", () =>
      withLoop(
        async ({ loop, kind, texts }) => {
          const faucets = [new Faucet(), new Faucet()];
          const sources = faucets.map((faucet) =>
            loop.source(kind, faucet, { framing: "line", maximumMessageBytes: 4, backlogBytes: 100 }),
          );
          const failed = sources.map(({ done }) => done.catch((error: SourceError) => error.reason));
          faucets[0]!.send(`a\nabcd${high}`);
          faucets[0]!.emit("error", new Error("planned"));
          faucets[1]!.send("b\nb\n");
          faucets[1]!.send(`c\nabcd${high}`);
          faucets[1]!.send("x".repeat(100));
          const run = loop.run();
          expect(await Promise.all(failed)).toEqual(["failed", "overrun"]);
          expect(texts).toEqual(["a", "b", "b", "c"]);
          await loop.close();
          await run;
        },
        { queue: { capacity: 1, overflow: 0 } },
      ));
  });

  test("name the source that they have come through, to handlers of several, and to onError when they have ended", async () => {
    const seen: [string, Source][] = [];
    const failed: Source[] = [];
    await withLoop(
      async ({ loop, kind }) => {
        const faucets = [new Faucet(), new Faucet()];
        const sources = faucets.map((faucet) => loop.source(kind, faucet));
        faucets[0]!.send("a");
        faucets[1]!.send("b");
        faucets[1]!.send("fails");
        faucets[0]!.send("c");
        await loop.runUntilIdle();
        expect(seen.map(([text, source]) => [text, sources.indexOf(source)])).toEqual([
          ["a", 0],
          ["b", 1],
          ["fails", 1],
          ["c", 0],
        ]);
        expect(failed.map((source) => sources.indexOf(source))).toEqual([1]);
        for (const source of sources) await source.stop();
      },
      {
        handle: (message) => {
          seen.push([message.toString(), message.source]);
          if (message.toString() === "fails") throw new Error("planned");
        },
        onError: (_, { payload }) => failed.push((payload as RingMessage).source),
      },
    );
  });

  test("end with their event: a synchronous one when its handler returns or throws, another when it settles", async () => {
    const kept: RingMessage[] = [];
    const faults: unknown[] = [];
    let release = () => {};
    const handle = (message: RingMessage) => {
      kept.push(message);
      if (kept.length === 2) throw new Error("thrown");
      if (kept.length === 3) return new Promise<void>((resolve) => (release = resolve));
      if (kept.length === 4) return Promise.reject(new Error("rejected"));
      return undefined;
    };
    const onError = (error: unknown) => faults.push(error);
    await withLoop(
      async ({ loop, kind }) => {
        const faucet = new Faucet();
        const source = loop.source(kind, faucet);
        for (const text of ["returns", "throws", "waits", "rejects"]) faucet.send(text);
        faucet.end();
        const run = loop.runUntilIdle();
        while (faults.length < 2) await settled();
        const [returned, threw, waiting, rejected] = kept as [RingMessage, RingMessage, RingMessage, RingMessage];
        for (const message of [returned, threw, rejected]) {
          expect(() => message.toString()).toThrow(StaleReferenceError);
          expect(() => message.address).toThrow(StaleReferenceError);
        }
        expect(waiting.toString()).toBe("waits");
        expect(source.stats()).toMatchObject({ state: "ending", ring: { messages: 2 } }); // the last one is not the oldest
        release();
        await run;
        expect(() => waiting.toString()).toThrow(StaleReferenceError);
        await source.done;
      },
      { handle, onError },
    );
    expect(faults.map((fault) => (fault as Error).message)).toEqual(["thrown", "rejected"]);
  });

  test("of a fiber live until it has ended: by a return, a throw, or a close that cancels it, also one that has not begun", async () => {
    const held: RingMessage[] = [];
    const faults: unknown[] = [];
    const gate = new Baton();
    const unused = () => {
      throw new Error("no default");
    };
    await withLoop(
      async ({ loop }) => {
        const kind = loop.on(
          "fiber",
          function* (message: RingMessage, _context, _unused = message.length < 9 || unused()) {
            held.push(message);
            const text = message.toString();
            if (text === "throws") throw new Error("thrown");
            yield;
            expect(message.toString()).toBe(text); // the ring has had more since
            if (text === "waits") yield gate.wait();
          },
        );
        const faucet = new Faucet();
        const source = loop.source(kind, faucet);
        for (const text of ["returns", "waits", "throws", "no default"]) faucet.send(text);
        const run = loop.run();
        while (faults.length < 2 || source.stats().ring.messages > 3) await settled();
        const [returned, waiting, threw] = held as [RingMessage, RingMessage, RingMessage];
        expect(held.length).toBe(3);
        for (const message of [returned, threw]) expect(() => message.toString()).toThrow(StaleReferenceError);
        expect(waiting.toString()).toBe("waits");
        expect(source.stats().ring.messages).toBe(3); // those that have ended behind one that waits keep their place
        faucet.send("queued");
        await loop.close({ mode: "discard" });
        await run;
        expect(() => waiting.toString()).toThrow(StaleReferenceError);
        expect(await source.done).toMatchObject({ ended: "loop-closed", messages: 5 });
      },
      { onError: (error) => faults.push((error as Error).message) },
    );
    expect(faults).toEqual(["thrown", "no default"]);
  });

  test("come through all the same when memory grows, by the runtime or by a host behind its back", () =>
    withLoop(async ({ loop, kind, texts, runtime }) => {
      const faucet = new Faucet();
      const source = loop.source(kind, faucet, { framing: "line" });
      faucet.send("one\ntw");
      runtime.reserve(4 << 20);
      faucet.send("o\nth");
      runtime.$memory.raw.grow(1);
      faucet.send("ree\nfour");
      runtime.$memory.raw.grow(1);
      faucet.end();
      runtime.$memory.raw.grow(1);
      await loop.runUntilIdle();
      expect(texts).toEqual(["one", "two", "three", "four"]);
      await source.done;
    }));

  test("of two sources of one kind each go back to their own ring", () =>
    withLoop(async ({ loop, kind, texts }) => {
      const [one, two] = [new Faucet(), new Faucet()];
      const sources = [loop.source(kind, one), loop.source(kind, two, { framing: "line" })];
      one.send("one");
      two.send("two\nthree\n");
      one.send("four");
      kind.post("by hand" as never); // what others post to the kind is none of a source's business
      one.end();
      two.end();
      await loop.runUntilIdle();
      const reports = await Promise.all(sources.map(({ done }) => done));
      expect(reports.map(({ messages }) => messages)).toEqual([2, 2]);
      expect(texts).toEqual(["one", "two", "three", "four", "by hand"]);
    }));
});

describe.each(modules)("any stream of bytes in the $name module", ({ debug }) => {
  test.each(["line", "length", "length-le", "message"] as const)(
    "gives the same messages however it is cut, through a small ring and a small queue, with handlers of all speeds: %s",
    async (framing) => {
      for (let seed = 1; seed <= scaled(6); seed++) {
        const random = new RandomNumbers(seed);
        const messages = Array.from({ length: 600 }, (_, index) =>
          bytesOf(`${index} ${"x".repeat(random.below(random.pick([9, 900])))}`),
        );
        const stream = framed(framing, messages, () => random.below(2) === 0);
        const handle = () =>
          random.below(3) === 0 ? new Promise<void>((resolve) => setImmediate(resolve)) : undefined;
        await withLoop(
          async ({ loop, kind, texts }) => {
            const faucet = new Faucet();
            const source = loop.source(kind, faucet, { framing, ringBytes: 1024, maximumMessageBytes: 1000 });
            const run = loop.run();
            for (let sent = 0, index = 0; sent < stream.length; ) {
              while (faucet.paused) await settled();
              const piece =
                framing === "message" ? messages[index++]! : stream.subarray(sent, sent + 1 + random.below(2000));
              const isText = random.below(4) === 0 && piece.every((byte) => byte < 128);
              faucet.send(isText ? Buffer.from(piece).toString() : piece);
              sent += piece.length;
              if (index % 50 === 0) source.validate();
            }
            faucet.end();
            const report = await source.done;
            expect(texts.length).toBe(messages.length);
            expect(texts.findIndex((text, index) => text !== Buffer.from(messages[index]!).toString())).toBe(-1);
            expect(report.messages).toBe(messages.length);
            expect(report.pauses).toBeGreaterThan(0);
            await loop.close();
            await run;
          },
          { debug, handle, queue: { capacity: 4, overflow: 2, policy: random.pick(["reject", "spill"] as const) } },
        );
      }
    },
  );
});

describe("back-pressure", () => {
  test("pauses the stream while the queue is full, keeps what has come, and resumes when all of it is in", () =>
    withLoop(
      async ({ loop, kind, texts }) => {
        const faucet = new Faucet();
        const source = loop.source(kind, faucet, { framing: "line" });
        faucet.send("1\n2\n");
        expect(faucet.paused).toBe(false);
        faucet.send("3\n4\n5\n");
        expect(faucet.paused).toBe(true);
        expect(source.stats()).toMatchObject({ state: "paused", messages: 2, pauses: 1 });
        faucet.send("6\n7"); // what a stream had on the way
        await loop.runUntilIdle();
        await settled();
        await loop.runUntilIdle();
        await settled();
        await loop.runUntilIdle();
        expect(faucet.paused).toBe(false);
        expect(texts).toEqual(["1", "2", "3", "4", "5", "6"]);
        faucet.end();
        await loop.runUntilIdle();
        expect(await source.done).toMatchObject({ messages: 7, pauses: 1 });
        expect(texts.at(-1)).toBe("7");
      },
      { queue: { capacity: 2, overflow: 0 } },
    ));

  test("pauses it while the ring is full of messages that an async handler holds, and loses nothing", async () => {
    const releases: (() => void)[] = [];
    await withLoop(
      async ({ loop, kind, texts }) => {
        const faucet = new Faucet();
        const source = loop.source(kind, faucet, { ringBytes: 1024, maximumMessageBytes: 1000 });
        const run = loop.run();
        const message = "x".repeat(300);
        const { capacity } = source.stats().ring;
        let sent = 0;
        for (; !faucet.paused; sent++) faucet.send(message);
        expect(300 * sent).toBeGreaterThan(capacity - 900); // room for 900 bytes, as a text of 300 units may need
        await settled();
        await settled();
        expect(source.stats().ring.used).toBeGreaterThan(capacity / 2);
        releases.shift()!();
        await settled();
        await settled();
        while (texts.length < sent) {
          releases.shift()!();
          await settled();
        }
        expect(faucet.paused).toBe(false);
        faucet.end();
        for (const release of releases) release();
        expect(await source.done).toMatchObject({ messages: sent, bytes: 300 * sent });
        await loop.close();
        await run;
      },
      { handle: () => new Promise<void>((resolve) => releases.push(resolve)) },
    );
  });

  test("holds a long text back where its messages fill the ring, and goes on in it where it was cut", async () => {
    const releases: (() => void)[] = [];
    await withLoop(
      async ({ loop, kind, texts }) => {
        const faucet = new Faucet();
        const source = loop.source(kind, faucet, { framing: "line", ringBytes: 1024, maximumMessageBytes: 1000 });
        const run = loop.run();
        const { capacity } = source.stats().ring;
        const line = "\u{1f600}\u20ac".repeat(50); // 350 bytes
        const lines = Array.from({ length: Math.ceil((3 * capacity) / 350) }, (_, index) => `${index}${line}`);
        faucet.send(lines.join("\n"));
        faucet.send("\nlast\n");
        faucet.end();
        while (texts.length <= lines.length) {
          await settled();
          source.validate();
          for (const release of releases.splice(0)) release();
        }
        expect(await source.done).toMatchObject({ messages: lines.length + 1 });
        expect(texts).toEqual([...lines, "last"]);
        await loop.close();
        await run;
      },
      { handle: () => new Promise<void>((resolve) => releases.push(resolve)) },
    );
  });

  test("waits for an entry for the last line, too, where empty ones have taken them all", async () => {
    const releases: (() => void)[] = [];
    await withLoop(
      async ({ loop, kind, texts }) => {
        const faucet = new Faucet();
        const source = loop.source(kind, faucet, { framing: "line", ringBytes: 1024, maximumMessageBytes: 1000 });
        const run = loop.run();
        let entries = 0;
        for (; !faucet.paused; entries++) faucet.send("\n"); // the last of them has found no entry
        expect(source.stats().ring.messages).toBe(entries - 1);
        while (texts.length < entries - 1) await settled();
        releases.shift()!();
        await settled();
        await settled();
        expect(faucet.paused).toBe(false); // the empty line has the entry
        faucet.send("last");
        faucet.end();
        await settled();
        expect(source.stats().state).toBe("ending");
        expect(texts.length).toBe(entries);
        releases.shift()!();
        while (texts.length <= entries) await settled();
        for (const release of releases) release();
        expect(await source.done).toMatchObject({ messages: entries + 1, ended: "end" });
        expect(texts.at(-1)).toBe("last");
        await loop.close();
        await run;
      },
      {
        queue: { capacity: 8192 },
        inFlight: 8192,
        handle: () => new Promise<void>((resolve) => releases.push(resolve)),
      },
    );
  });

  test("never puts more than one event into the overflow, which is for those that cannot be held back", () =>
    withLoop(
      async ({ loop, kind, texts }) => {
        const faucet = new Faucet();
        const source = loop.source(kind, faucet, { framing: "line" });
        faucet.send("1\n2\n3\n4\n5\n6\n");
        faucet.end();
        expect(loop.stats()).toMatchObject({ queued: 3, overflow: 1 });
        const run = loop.run();
        await source.done;
        expect(texts).toEqual(["1", "2", "3", "4", "5", "6"]);
        expect(loop.stats().overflowHighWater).toBe(1);
        await loop.close();
        await run;
      },
      { queue: { capacity: 2, overflow: 100, policy: "spill" } },
    ));

  test("bounds what waits of a stream that goes on all the same: one chunk too many is an overrun, and the rest is handled", () =>
    withLoop(
      async ({ loop, kind, texts }) => {
        const faucet = new Faucet();
        const source = loop.source(kind, faucet, { backlogBytes: 138 });
        const failed = source.done.catch((error: unknown) => error);
        for (const text of ["1", "2", "34567", "89012", "3"]) faucet.send(text);
        expect(faucet.destroyed).toBe(true);
        faucet.send("nobody hears this");
        const run = loop.run();
        const error = (await failed) as SourceError;
        expect(error).toBeInstanceOf(SourceError);
        expect(error).toMatchObject({ code: "ERR_TIDEMARK_SOURCE", reason: "overrun" });
        expect(error.message).toMatch(/length 1, which counts as 65, came while 138 waited .* no more than 138/);
        expect(texts).toEqual(["1", "2", "34567", "89012"]);
        await loop.close();
        await run;
      },
      { queue: { capacity: 1, overflow: 0 } },
    ));

  test.each([
    ["texts", "", 64],
    ["buffers", new Uint8Array(0), 256],
  ] as const)(
    "bounds what waits by the memory that it takes, so that of %s without a byte, too",
    (_what, empty, counted) =>
      withLoop(
        async ({ loop, kind, texts }) => {
          const faucet = new Faucet();
          const source = loop.source(kind, faucet, { backlogBytes: 1024 });
          const failed = source.done.catch((error: unknown) => error);
          for (let sent = 0; sent < 2 + 1024 / counted; sent++) faucet.send(empty);
          expect(source.stats()).toMatchObject({ state: "paused", messages: 1, backlogBytes: 1024 });
          faucet.send(empty);
          expect(source.stats()).toMatchObject({ state: "ending" });
          const run = loop.run();
          expect(await failed).toMatchObject({ reason: "overrun" });
          expect(texts.length).toBe(2 + 1024 / counted);
          expect(source.stats().backlogBytes).toBe(0);
          await loop.close();
          await run;
        },
        { queue: { capacity: 1, overflow: 0 } },
      ),
  );

  test.each([
    ["was not copied at all", "two\n"],
    ["was copied in part", "two\n".repeat(100_000)],
  ])(
    "ends when a chunk that waits is taken away, and %s: nothing that came behind it is taken for a message",
    (_what, text) =>
      withLoop(
        async ({ loop, kind, texts }) => {
          const faucet = new Faucet();
          const source = loop.source(kind, faucet, { framing: "line", ringBytes: 1024 });
          const failed = source.done.catch((error: unknown) => error);
          const chunk = bytesOf(text);
          for (const sent of ["one\n", "one\n", chunk, "three\n"]) faucet.send(sent);
          structuredClone(chunk.buffer, { transfer: [chunk.buffer as ArrayBuffer] });
          const run = loop.run();
          expect(await failed).toMatchObject({
            reason: "failed",
            message: expect.stringMatching(/transferred or resized while the chunk waited/),
          });
          expect(texts.slice(0, 2)).toEqual(["one", "one"]);
          expect(texts).not.toContain("three");
          expect(source.stats()).toMatchObject({ state: "ended", messages: texts.length, backlogBytes: 0 });
          await loop.close();
          await run;
        },
        { queue: { capacity: 1, overflow: 0 } },
      ),
  );

  test("takes of a chunk what there is, whatever its length is said to be", () =>
    withLoop(async ({ loop, kind, texts }) => {
      const source = loop.source(
        kind,
        (async function* () {
          yield Object.defineProperty(Buffer.from("abcdefgh"), "length", { value: 1 });
          yield Object.defineProperty(Buffer.from("ij"), "length", { value: 1000 });
          yield new DataView(Uint8Array.from([107]).buffer);
        })(),
      );
      const run = loop.run();
      expect(await source.done).toMatchObject({ messages: 3, bytes: 11 });
      expect(texts).toEqual(["abcdefgh", "ij", "k"]);
      await loop.close();
      await run;
    }));

  test("posts nothing more once the stream, let go of after an overrun, has stopped its source", () =>
    withLoop(
      async ({ loop, kind, texts }) => {
        const faucet = new Faucet();
        const source = loop.source(kind, faucet, { framing: "line", backlogBytes: 10 });
        const failed = source.done.catch((error: unknown) => error);
        const { destroy } = faucet;
        faucet.destroy = () => {
          destroy.call(faucet);
          void source.stop().catch(() => {});
        };
        faucet.send("1\n2\n3\n"); // handled; refused by the full queue; open
        faucet.send("more than may wait\n");
        const run = loop.run();
        expect(await failed).toMatchObject({ reason: "overrun" });
        expect(texts).toEqual(["1"]);
        await loop.close();
        await run;
      },
      { queue: { capacity: 1, overflow: 0 } },
    ));
});

describe("what is wrong", () => {
  const failing = (
    act: (faucet: Faucet) => void,
    options: Parameters<ReturnType<typeof createLoop>["source"]>[2],
    handled: string[],
    expected: Partial<SourceError>,
  ) =>
    withLoop(async ({ loop, kind, texts }) => {
      const faucet = new Faucet();
      const source = loop.source(kind, faucet, options);
      const failed = source.done.catch((error: unknown) => error);
      act(faucet);
      await loop.runUntilIdle();
      const error = await failed;
      expect(error).toBeInstanceOf(SourceError);
      expect(error).toMatchObject({ code: "ERR_TIDEMARK_SOURCE", ...expected });
      expect(texts).toEqual(handled);
      expect(faucet.listeners).toBeLessThanOrEqual(1); // one that ignores what destroying brings
      expect(source.stats().state).toBe("ended");
    });

  const cause = new Error("connection reset");

  test("an error of the stream comes after all that came before it, as the cause; half a line does not count", () =>
    failing(
      (faucet) => {
        faucet.send("one\ntw");
        faucet.emit("error", cause);
      },
      { framing: "line" },
      ["one"],
      { reason: "failed", cause, message: "the stream has failed: connection reset" },
    ));

  test("a stream that is closed without an end is disconnected", () =>
    failing(
      (faucet) => {
        faucet.send("one");
        faucet.emit("close");
      },
      {},
      ["one"],
      { reason: "disconnected" },
    ));

  test("an end in the midst of a message with a length is told with what is there", () =>
    failing(
      (faucet) => {
        faucet.send(new Uint8Array([0, 0, 0, 1, 65, 0, 0, 0, 9, 66]));
        faucet.end();
      },
      { framing: "length" },
      ["A"],
      { reason: "truncated", message: "the stream has ended 5 bytes into a message, its length included" },
    ));

  test.each([
    ["what is neither bytes nor a text", undefined, "unsupported"],
    [
      "a chunk on which map throws",
      (chunk: unknown) => {
        if (typeof chunk === "number") throw cause;
        return chunk as string;
      },
      "failed",
    ],
  ] as const)("%s ends the source behind all that waits for room", (_what, map, reason) =>
    withLoop(
      async ({ loop, kind, texts }) => {
        const faucet = new Faucet();
        const source = loop.source(kind, faucet, { framing: "line", ...(map && { map }) });
        const failed = source.done.catch((error: unknown) => error);
        for (const chunk of ["one\ntwo\nthree\n", "four\n", 5, "after\n"]) faucet.emit("data", chunk);
        expect(faucet.destroyed).toBe(true);
        const run = loop.run();
        expect(await failed).toMatchObject({ code: "ERR_TIDEMARK_SOURCE", reason });
        expect(texts).toEqual(["one", "two", "three", "four"]);
        await loop.close();
        await run;
      },
      { queue: { capacity: 1, overflow: 0 } },
    ),
  );

  test.each(["\r", "x"])("a last line that nothing has ended is no longer than others may be: abcd%j", async (end) => {
    await failing(
      (faucet) => {
        faucet.send(`one\nabcd${end}`);
        faucet.end();
      },
      { framing: "line", maximumMessageBytes: 4 },
      ["one"],
      { reason: "too-long" },
    );
    await withLoop(async ({ loop, kind, texts }) => {
      const faucet = new Faucet();
      const source = loop.source(kind, faucet, { framing: "line", maximumMessageBytes: 4, tooLong: "skip" });
      faucet.send(`one\nabcd${end}`);
      faucet.end();
      await loop.runUntilIdle();
      expect(await source.done).toMatchObject({ messages: 1, skipped: 1, ended: "end" });
      expect(texts).toEqual(["one"]);
    });
  });

  test.each([
    ["and returns", () => "late"],
    [
      "and throws",
      () => {
        throw cause;
      },
    ],
  ])("a map that stops its source %s: what it was called with is nobody's", (_how, then) =>
    withLoop(async ({ loop, kind, texts }) => {
      for (const isHeld of [false, true]) {
        const faucet = new Faucet();
        const source: ReturnType<typeof loop.source> = loop.source(kind, faucet, {
          map: (chunk: string) => {
            if (chunk !== "stop") return chunk;
            void source.stop();
            return then();
          },
        });
        if (isHeld) faucet.send("held");
        faucet.send("stop");
        await loop.runUntilIdle();
        expect(await source.done).toMatchObject({ messages: isHeld ? 1 : 0, ended: "stopped" });
        expect(source.stats()).toMatchObject({ state: "ended", backlogBytes: 0 });
      }
      expect(texts).toEqual(["held"]);
    }),
  );

  test("a message that is too long, found only when there is room for those before it, ends the source behind them", async () => {
    await withLoop(
      async ({ loop, kind, texts }) => {
        const faucet = new Faucet();
        const source = loop.source(kind, faucet, { framing: "line", maximumMessageBytes: 4 });
        faucet.send("a\nb\nabcde\nafter\n");
        expect([faucet.paused, faucet.destroyed]).toEqual([true, false]);
        const run = loop.run();
        await expect(source.done).rejects.toMatchObject({ reason: "too-long" });
        expect([texts, faucet.destroyed]).toEqual([["a", "b"], true]);
        await loop.close();
        await run;
      },
      { queue: { capacity: 1, overflow: 0 } },
    );
  });

  test("of a failing stream's, and what then turns out to be wrong before it, the first that was told is the failure", () =>
    withLoop(
      async ({ loop, kind, texts }) => {
        const faucet = new Faucet();
        const source = loop.source(kind, faucet, { framing: "line", maximumMessageBytes: 4 });
        faucet.send("a\nb\nabcde\nafter\n");
        faucet.emit("error", cause);
        const run = loop.run();
        await expect(source.done).rejects.toMatchObject({ reason: "failed", cause });
        expect(texts).toEqual(["a", "b"]);
        await loop.close();
        await run;
      },
      { queue: { capacity: 1, overflow: 0 } },
    ));

  test.each([
    "\u{1f600}".repeat(25),
    "\ud83d".repeat(33),
    "\ude00".repeat(33),
    `\u20ac${"\u00e9".repeat(48)}`,
    "x".repeat(100),
  ])("a text is as long as its bytes are: %j", (text) =>
    withLoop(async ({ loop, kind, texts }) => {
      const faucet = new Faucet();
      const source = loop.source(kind, faucet, { maximumMessageBytes: 100, tooLong: "skip" });
      const { length } = bytesOf(text);
      const rest = "y".repeat(100 - length);
      faucet.send(text + rest);
      faucet.send(`${text}${rest}z`);
      faucet.end();
      await loop.runUntilIdle();
      expect(await source.done).toMatchObject({ messages: 1, bytes: 100, skipped: 1 });
      expect(texts).toEqual([new TextDecoder().decode(bytesOf(text + rest))]);
    }),
  );

  test.each([
    ["message", ["ok", "x".repeat(101), "after"], ["ok"]],
    ["line", ["ok\n", `${"x".repeat(101)}`, "after\n"], ["ok"]],
    ["length", ["\0\0\0\x02ok\0\0\0\x65after"], ["ok"]],
  ] as const)("a message that is too long ends the source and destroys the stream: %s", (framing, chunks, handled) =>
    failing(
      (faucet) => {
        for (const chunk of chunks) faucet.send(chunk);
        expect(faucet.destroyed).toBe(true);
      },
      { framing, maximumMessageBytes: 100 },
      [...handled],
      { reason: "too-long", message: "a message of at least 101 bytes has come, and no more than 100 may be in one" },
    ),
  );

  test.each([
    [
      "message",
      ["ok", "x".repeat(101), "after", `${"€".repeat(33)}x`, "€".repeat(34)],
      ["ok", "after", `${"€".repeat(33)}x`],
    ],
    ["line", ["ok\n", "x".repeat(101), "x".repeat(300), "x\nafter\nla", "st"], ["ok", "after", "last"]],
    ["length", ["\0\0\0\x02ok\0\0\x01\0", "y".repeat(200), "y".repeat(56), "\0\0\0\x05after"], ["ok", "after"]],
  ] as const)("or is left out and counted: %s", (framing, chunks, handled) =>
    withLoop(async ({ loop, kind, texts }) => {
      const faucet = new Faucet();
      const source = loop.source(kind, faucet, { framing, maximumMessageBytes: 100, tooLong: "skip" });
      for (const chunk of chunks) faucet.send(chunk);
      faucet.end();
      await loop.runUntilIdle();
      expect(await source.done).toMatchObject({ skipped: framing === "message" ? 2 : 1, messages: handled.length });
      expect(texts).toEqual(handled);
    }),
  );

  test.each([
    ["5 of 5000 bytes", [0, 0, 19, 136, 1, 2, 3, 4, 5], 9],
    ["5 of 4 GiB", [255, 255, 255, 255, 1, 2, 3, 4, 5], 9],
    ["none of 4 GiB", [255, 255, 255, 255], 4],
  ])("one that is left out must have come to its end, too: %s", (_what, bytes, there) =>
    failing(
      (faucet) => {
        faucet.send(new Uint8Array([0, 0, 0, 1, 65, ...bytes]));
        faucet.end();
      },
      { framing: "length", maximumMessageBytes: 100, tooLong: "skip" },
      ["A"],
      { reason: "truncated", message: `the stream has ended ${there} bytes into a message, its length included` },
    ),
  );

  test("what is neither bytes nor text is named", () =>
    failing((faucet) => faucet.emit("data", new Blob(["x"])), {}, [], {
      reason: "unsupported",
      message: "bytes or a text were expected, but a value of type Blob has come",
    }));

  test("a map that throws ends the source", () => {
    const map = () => {
      throw cause;
    };
    return failing((faucet) => faucet.send("x"), { map }, [], { reason: "failed", cause });
  });

  test("bad arguments are refused, and nothing is done to the stream", () =>
    withLoop(async ({ loop, kind, runtime }) => {
      const faucet = new Faucet();
      const refuse = (options: object, words: RegExp) => {
        expect(() => loop.source(kind, faucet, options)).toThrow(InvalidArgumentError);
        expect(() => loop.source(kind, faucet, options)).toThrow(words);
      };
      refuse({ framing: "lines" }, /framing must be one of "message", "line".* but is "lines"/);
      refuse({ ringBytes: 1023 }, /ringBytes must be a whole number from 1024 to/);
      refuse({ ringBytes: 2048, maximumMessageBytes: 2041 }, /maximumMessageBytes .* from 1 to 2040/);
      refuse({ maximumMessageBytes: 0 }, /maximumMessageBytes/);
      refuse({ tooLong: "drop" }, /tooLong/);
      refuse({ backlogBytes: -1 }, /backlogBytes/);
      refuse({ map: 3 }, /map must be a function/);
      refuse({ event: "" }, /event/);
      refuse({ onStop: "destroy" }, /onStop/);
      for (const stream of [undefined, null, 7, "text", {}, new Uint8Array(3), new Map()]) {
        expect(() => loop.source(kind, stream as never as SourceStream)).toThrow(
          /a source takes a Node readable stream/,
        );
      }
      const other = createLoop(runtime);
      const foreign = other.on("message", () => {}) as Kind<RingMessage>;
      expect(() => loop.source(foreign, faucet)).toThrow(/a kind of this very loop/);
      expect(() => loop.source({ name: "message" } as never, faucet)).toThrow(InvalidArgumentError);
      expect(faucet.listeners).toBe(0);
      await other.close();
      expect(() => other.source(foreign, faucet)).toThrow(LoopClosedError);
    }));
});

describe("the end from without", () => {
  test("stop() destroys the stream, drops what was not posted, and waits for what was", () =>
    withLoop(
      async ({ loop, kind, texts }) => {
        const faucet = new Faucet();
        const source = loop.source(kind, faucet, { framing: "line" });
        faucet.send("1\n2\n3\n4");
        const stopped = source.stop();
        expect(stopped).toBe(source.done);
        expect(faucet.destroyed).toBe(true);
        expect(source.stats().state).toBe("ending");
        expect(source.stop()).toBe(stopped);
        await loop.runUntilIdle();
        expect(await stopped).toEqual({ messages: 2, bytes: 2, dropped: 0, skipped: 0, pauses: 1, ended: "stopped" });
        expect(texts).toEqual(["1", "2"]);
      },
      { queue: { capacity: 2 } },
    ));

  test("or only lets go of it, paused, for somebody else to go on", () =>
    withLoop(async ({ loop, kind }) => {
      const faucet = new Faucet();
      await loop.source(kind, faucet, { onStop: "leave" }).stop();
      expect(faucet).toMatchObject({ destroyed: false, paused: true, listeners: 0 });
    }));

  test("`await using` stops it", () =>
    withLoop(async ({ loop, kind }) => {
      const faucet = new Faucet();
      const source = loop.source(kind, faucet);
      await source[Symbol.asyncDispose]();
      expect(faucet.destroyed).toBe(true);
      expect(await source.done).toMatchObject({ ended: "stopped" });
    }));

  test.each(["drain", "discard"] as const)("the loop's close ends it at once: %s", async (mode) => {
    await withLoop(
      async ({ loop, kind, texts }) => {
        const faucet = new Faucet();
        const source = loop.source(kind, faucet, { framing: "line" });
        faucet.send("1\n2\n3\n");
        const closed = loop.close({ mode });
        expect(faucet.destroyed).toBe(true);
        const report = await source.done;
        expect(report).toMatchObject({ messages: 2, ended: "loop-closed" });
        expect(texts).toEqual(mode === "drain" ? ["1", "2"] : []);
        expect(await closed).toMatchObject({ processed: texts.length, dropped: 2 - texts.length });
      },
      { queue: { capacity: 2 } },
    );
  });

  test("an event that a close has abandoned keeps its message until it settles", async () => {
    let message: RingMessage | undefined;
    let release = () => {};
    await withLoop(
      async ({ loop, kind, runtime }) => {
        const faucet = new Faucet();
        const source = loop.source(kind, faucet);
        faucet.send("kept");
        faucet.send("dropped");
        const run = loop.run();
        await settled();
        await settled();
        await loop.close({ deadline: 1 });
        await run;
        expect(await source.done).toMatchObject({ messages: 2, ended: "loop-closed" });
        expect(message!.toString()).toBe("kept");
        expect(runtime.stats().bytesByOwner.messageRings).toBeGreaterThan(0);
        release();
        await settled();
        expect(() => message!.toString()).toThrow(StaleReferenceError);
      },
      {
        inFlight: 1,
        handle: (current) => {
          message = current;
          return new Promise<void>((resolve) => (release = resolve));
        },
      },
    );
  });

  test("a handler's error that stops the loop ends it, too", async () => {
    const runtime = await createRuntime();
    const loop = createLoop(runtime);
    const kind = loop.on("message", (_: RingMessage) => {
      throw new Error("no more");
    });
    const faucet = new Faucet();
    const source = loop.source(kind, faucet);
    faucet.send("1");
    faucet.send("2");
    await expect(loop.run()).rejects.toThrow("no more");
    expect(await source.done).toMatchObject({ ended: "loop-closed" });
    expect(faucet.destroyed).toBe(true);
    expect(runtime.stats().bytesByOwner.messageRings).toBe(0);
    runtime.dispose();
  });

  test("so does the runtime's dispose, and what comes after it is nobody's", async () => {
    const runtime = await createRuntime();
    const loop = createLoop(runtime);
    const kind = loop.on("message", (_: RingMessage) => {});
    const faucet = new Faucet();
    const source = loop.source(kind, faucet);
    faucet.send("1");
    runtime.dispose();
    faucet.send("2");
    expect(await source.done).toMatchObject({ messages: 1, ended: "loop-closed" });
    expect(source.stats().ring.capacity).toBe(0);
    source.validate();
  });
});

test("a source that nobody has stopped is found as a leak of the debug runtime", async () => {
  const runtime = await createRuntime({ debug: true });
  const loop = createLoop(runtime);
  const kind = loop.on("message", (_: RingMessage) => {});
  const source = loop.source(kind, new Faucet());
  const leaks = () => runtime.leaks().filter(({ kind }) => kind === "messageRing");
  expect(leaks()).toMatchObject([{ count: 1, bytes: source.stats().ring.bytes }]);
  expect(leaks()[0]!.stack).toContain("source.test");
  await source.stop();
  expect(leaks()).toEqual([]);
  await loop.close();
  runtime.dispose();
});
