import { Baton, type RingMessage, type Source, type SourceError, StaleReferenceError } from "tidemark";
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

  test("of one source after another come to the handler by as many calls as those of the first", async () => {
    const depths: number[] = [];
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 100;
    try {
      await withLoop(
        async ({ loop, kind }) => {
          for (let count = 0; count < 20; count++) {
            const faucet = new Faucet();
            const source = loop.source(kind, faucet);
            faucet.send("message");
            await loop.runUntilIdle();
            await source.stop();
          }
        },
        { handle: () => depths.push(new Error("here").stack!.split("\n").length) },
      );
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
    expect([depths.length, depths[19]]).toEqual([20, depths[0]]);
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
