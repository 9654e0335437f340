import {
  coalesce,
  createLoop,
  InvalidArgumentError,
  type Kind,
  LoopClosedError,
  type RingMessage,
  SourceError,
  type SourceStream,
} from "tidemark";
import { describe, expect, test } from "vitest";
import { bytesOf, Faucet, withLoop } from "./sourceSupport.js";

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

  test.each([
    ["Blob", new Blob(["x"])],
    ["null", null],
    ["number", 7],
  ])("what is neither bytes nor text is named: %s", (name, value) =>
    failing((faucet) => faucet.emit("data", value), {}, [], {
      reason: "unsupported",
      message: `bytes or a text were expected, but a value of type ${name} has come`,
    }),
  );

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
      const losing = [
        loop.on("ticks", (_: RingMessage) => {}, { policy: "drop-oldest" }),
        loop.on("quotes", (_: RingMessage) => {}, { policy: coalesce(({ length }: RingMessage) => length) }),
      ];
      for (const kind of losing) {
        expect(() => loop.source(kind, faucet)).toThrow(InvalidArgumentError);
        expect(() => loop.source(kind, faucet)).toThrow(`must reject or spill, but "${kind.name}"`);
      }
      expect(faucet.listeners).toBe(0);
      await other.close();
      expect(() => other.source(foreign, faucet)).toThrow(LoopClosedError);
    }));
});
