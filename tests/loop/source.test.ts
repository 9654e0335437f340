import { createLoop, createRuntime, type RingMessage, SourceError, StaleReferenceError } from "tidemark";
import { describe, expect, test } from "vitest";
import { bytesOf, Faucet, settled, withHeldMessages, withLoop } from "./sourceSupport.js";

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
    await withHeldMessages(async ({ loop, kind, texts }, releases) => {
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
    });
  });

  test("holds a long text back where its messages fill the ring, and goes on in it where it was cut", async () => {
    await withHeldMessages(async ({ loop, kind, texts }, releases) => {
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
    });
  });

  test("takes the end of a message that fills nearly all of the ring, though more comes with it than there is room for", () =>
    withLoop(async ({ loop, kind, texts }) => {
      const faucet = new Faucet();
      const source = loop.source(kind, faucet, { framing: "line", ringBytes: 250_000, maximumMessageBytes: 249_000 });
      const lines = ["a", "b", "c"].map((letter) => letter.repeat(249_000));
      const bytes = bytesOf(`${lines.join("\n")}\n`);
      const { capacity } = source.stats().ring;
      expect(capacity).toBeLessThan(262_144); // what is left of it then is less than a quarter
      faucet.send(bytes.subarray(0, 240_000));
      faucet.send(bytes.subarray(240_000));
      faucet.end();
      const run = loop.run();
      expect(await source.done).toMatchObject({ messages: 3, ended: "end" });
      expect(texts).toEqual(lines);
      await loop.close();
      await run;
    }));

  test("waits for an entry for the last line, too, where empty ones have taken them all", async () => {
    await withHeldMessages(
      async ({ loop, kind, texts }, releases) => {
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
        expect(report).toMatchObject({ messages: 2, dropped: 2 - texts.length, ended: "loop-closed" });
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
