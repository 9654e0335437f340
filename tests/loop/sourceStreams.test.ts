import { getEventListeners } from "node:events";
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { PassThrough, Readable } from "node:stream";
import { MessageChannel as NodeMessageChannel } from "node:worker_threads";
import { Channel, InvalidArgumentError, type SourceError, type SourceStream } from "tidemark";
import { describe, expect, test } from "vitest";
import { settled, withLoop } from "./sourceSupport.js";

const LINES = Array.from({ length: 5000 }, (_, index) => `line ${index} ${"x".repeat(index % 90)}`);
const TEXT = LINES.join("\n");

/** Reads all lines through a small queue and a slow handler. */
function readLines(stream: SourceStream, wanted = LINES): Promise<void> {
  return withLoop(
    async ({ loop, kind, texts }) => {
      const source = loop.source(kind, stream, { framing: "line", ringBytes: 16_384 });
      const run = loop.run();
      const report = await source.done;
      expect(texts).toEqual(wanted);
      expect(report).toMatchObject({ messages: wanted.length, ended: "end" });
      expect(report.pauses).toBeGreaterThan(0);
      await loop.close();
      await run;
    },
    { queue: { capacity: 16 }, handle: () => new Promise<void>((resolve) => setImmediate(resolve)), inFlight: 8 },
  );
}

describe("each kind of stream gives all of its bytes, and waits for a slow handler", () => {
  test("a file", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tidemark-source-"));
    try {
      const path = join(folder, "lines.txt");
      writeFileSync(path, TEXT);
      await readLines(createReadStream(path, { highWaterMark: 1000 }));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("a socket", async () => {
    const server = createServer((socket) => socket.end(TEXT)).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    try {
      await readLines(connect((server.address() as AddressInfo).port, "127.0.0.1"));
    } finally {
      server.close();
    }
  });

  test("one whose closing fails behind its end, which is its own affair", () =>
    withLoop(async ({ loop, kind, texts }) => {
      const closed = new Readable({
        read() {
          this.push("all");
          this.push(null);
        },
        destroy(_error, callback) {
          callback(new Error("cannot be closed"));
        },
      });
      const isClosed = new Promise((resolve) => closed.once("close", resolve));
      const run = loop.run();
      expect(await loop.source(kind, closed).done).toMatchObject({ messages: 1, ended: "end" });
      await isClosed;
      expect([closed.errored?.message, texts]).toEqual(["cannot be closed", ["all"]]);
      await loop.close();
      await run;
    }));

  test("an iterable that has everything at hand, of which nothing becomes a message, and timers come in between", () =>
    withLoop(async ({ loop, kind, texts }) => {
      let given = 0;
      let givenAtTimer = 0;
      setTimeout(() => {
        givenAtTimer = given;
      }, 1);
      const source = loop.source(
        kind,
        (async function* () {
          while (givenAtTimer === 0 && given < 1_000_000) {
            given++;
            yield "nothing";
          }
          yield "last";
        })(),
        { map: (chunk: string) => (chunk === "last" ? chunk : undefined) },
      );
      const run = loop.run();
      expect(await source.done).toMatchObject({ messages: 1, ended: "end" });
      expect(given).toBeLessThan(1_000_000); // the timer has ended it, which comes only behind the last otherwise
      expect(texts).toEqual(["last"]);
      await loop.close();
      await run;
    }));

  test("a stream of texts, one that was paused by hand, and one that is read through", async () => {
    const cut = TEXT.match(/[\s\S]{1,777}/g)!;
    await readLines(Readable.from(cut));
    const through = new PassThrough().setEncoding("utf8").pause();
    Readable.from(cut).pipe(through);
    await readLines(through);
  });

  test("a web stream", () => readLines(new Blob([TEXT]).stream()));

  test("an async generator", () => {
    async function* generate() {
      for (let start = 0; start < TEXT.length; start += 1000) yield TEXT.slice(start, start + 1000);
    }
    return readLines(generate());
  });

  test("an interface of node:readline, which is no stream of bytes, gives the lines that it is an iterable of", () =>
    withLoop(async ({ loop, kind, texts }) => {
      const input = new PassThrough();
      const source = loop.source(kind, createInterface({ input }));
      for (const line of ["one", "two", "three"]) input.write(`${line}\n`);
      input.end("four");
      const run = loop.run();
      expect(await source.done).toMatchObject({ messages: 4, ended: "end" });
      expect(texts).toEqual(["one", "two", "three", "four"]);
      await loop.close();
      await run;
    }));
});

describe("pulled streams", () => {
  test("are asked for no more than there is room for", () =>
    withLoop(
      async ({ loop, kind, texts }) => {
        let pulled = 0;
        const stream = new ReadableStream(
          { pull: (controller) => controller.enqueue(String(pulled++)) },
          { highWaterMark: 0 },
        );
        const source = loop.source(kind, stream);
        for (let waited = 0; waited < 20; waited++) await settled();
        expect(pulled).toBe(5); // the queue's four, and the one that it refused
        await loop.runUntilIdle();
        expect(texts.slice(0, 4)).toEqual(["0", "1", "2", "3"]);
        void source.stop();
        await loop.runUntilIdle();
        await source.done;
      },
      { queue: { capacity: 4 } },
    ));

  test("are cancelled, and generators returned, when the source is stopped; or only let go of", () =>
    withLoop(async ({ loop, kind }) => {
      let cancelled = 0;
      const make = () => new ReadableStream({ cancel: () => void cancelled++ });
      await loop.source(kind, make()).stop();
      expect(cancelled).toBe(1);
      const left = make();
      await loop.source(kind, left, { onStop: "leave" }).stop();
      expect(cancelled).toBe(1);
      expect(left.locked).toBe(false);

      let returned = 0;
      const iterable = (value: string) => ({
        [Symbol.asyncIterator]: () => ({
          next: () => Promise.resolve({ done: false, value }),
          return: () => Promise.resolve({ done: true as const, value: returned++ }),
        }),
      });
      for (const onStop of ["close", "leave"] as const) {
        const source = loop.source(kind, iterable("x"), { onStop });
        await settled();
        void source.stop();
        await loop.runUntilIdle();
        await source.done;
      }
      expect(returned).toBe(1);
    }));

  test("that are channels are left when the source is stopped: what is sent then is another's", () =>
    withLoop(async ({ loop, kind, texts }) => {
      const channel = new Channel<string>(4);
      const source = loop.source(kind, channel);
      const run = loop.run();
      await channel.send("its own");
      while (texts.length === 0) await settled();
      expect(channel.waiting.receivers).toBe(1);
      await source.stop();
      expect(channel.waiting.receivers).toBe(0);
      await channel.send("another's");
      expect(channel.tryReceive()).toBe("another's");
      await loop.close();
      await run;
      expect(texts).toEqual(["its own"]);
    }));

  test("tell what they fail with", () =>
    withLoop(async ({ loop, kind, texts }) => {
      const cause = new Error("no more");
      async function* generate() {
        yield "one";
        throw cause;
      }
      const failed = loop.source(kind, generate()).done.catch((error: unknown) => error);
      await settled();
      await loop.runUntilIdle();
      expect(await failed).toMatchObject({ reason: "failed", cause });
      expect(texts).toEqual(["one"]);
    }));

  test("that are web streams are nobody's once they have ended or failed", () =>
    withLoop(async ({ loop, kind, texts }) => {
      const run = loop.run();
      const ended = new Blob(["all"]).stream();
      expect(await loop.source(kind, ended).done).toMatchObject({ ended: "end" });
      expect(ended.locked).toBe(false);

      const failed = new ReadableStream({ start: (controller) => controller.error(new Error("planned")) });
      await expect(loop.source(kind, failed).done).rejects.toMatchObject({ reason: "failed" });
      expect(failed.locked).toBe(false);
      await loop.close();
      await run;
      expect(texts).toEqual(["all"]);
    }));

  test("that somebody else reads are refused", () =>
    withLoop(async ({ loop, kind, runtime }) => {
      const stream = new Blob([TEXT]).stream();
      stream.getReader();
      expect(() => loop.source(kind, stream)).toThrow(/somebody else is reading it/);
      expect(runtime.stats().bytesByOwner.messageRings).toBe(0);
    }));
});

describe("a Node stream", () => {
  test("that has ended, failed or been destroyed before is told at once", () =>
    withLoop(async ({ loop, kind }) => {
      const ended = Readable.from([]);
      ended.resume();
      await new Promise((resolve) => ended.once("close", resolve));
      expect(await loop.source(kind, ended).done).toMatchObject({ messages: 0, ended: "end" });

      const cause = new Error("before");
      const failed = new PassThrough().on("error", () => {});
      failed.destroy(cause);
      await expect(loop.source(kind, failed).done).rejects.toMatchObject({ reason: "failed", cause });
      const destroyed = new PassThrough();
      destroyed.destroy();
      await expect(loop.source(kind, destroyed).done).rejects.toMatchObject({ reason: "disconnected" });
    }));

  test("that was destroyed before, and says why only later, is told once, and is nobody's uncaught error", () =>
    withLoop(async ({ loop, kind }) => {
      const cause = new Error("before");
      let emitted = 0;
      const stream = new Readable({ read() {}, destroy: (error, done) => setImmediate(done, error) });
      stream.destroy(cause);
      const source = loop.source(kind, stream);
      const emit = stream.emit.bind(stream);
      stream.emit = (event: string, ...values: unknown[]) => {
        if (event === "error") emitted++;
        return emit(event, ...values);
      };
      await expect(source.done).rejects.toMatchObject({ reason: "failed", cause });
      while (!stream.closed) await settled();
      expect(emitted).toBe(1);
    }));

  test("that loses its other side in the midst of things is a failure, and all that came is handled", async () => {
    let server: Socket | undefined;
    const listener = createServer((socket) => {
      server = socket;
      socket.on("error", () => {});
      socket.write("one\ntwo\nthr");
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => listener.once("listening", resolve));
    await withLoop(async ({ loop, kind, texts }) => {
      const socket = connect((listener.address() as AddressInfo).port, "127.0.0.1");
      const source = loop.source(kind, socket, { framing: "line" });
      const failed = source.done.catch((error: unknown) => error as SourceError);
      const run = loop.run();
      while (texts.length < 2) await settled();
      server!.resetAndDestroy();
      expect(await failed).toMatchObject({ reason: "failed", cause: { code: "ECONNRESET" } });
      expect(texts).toEqual(["one", "two"]);
      await loop.close();
      await run;
    });
    listener.close();
  });

  test("that gives texts is refused where lengths are bytes, unless map makes bytes of them", () =>
    withLoop(async ({ loop, kind, runtime, texts }) => {
      for (const framing of ["length", "length-le"] as const) {
        const stream = new PassThrough().setEncoding("utf8");
        expect(() => loop.source(kind, stream, { framing })).toThrow(InvalidArgumentError);
        expect(() => loop.source(kind, stream, { framing })).toThrow(/"utf8".*"length/);
        expect([stream.listenerCount("data"), runtime.stats().bytesByOwner.messageRings]).toEqual([0, 0]);
      }
      const stream = new PassThrough().setEncoding("latin1");
      const source = loop.source(kind, stream, {
        framing: "length",
        map: (chunk: string) => Buffer.from(chunk, "latin1"),
      });
      stream.end(Buffer.from([0, 0, 0, 2, 0xc3, 0xa9]));
      const run = loop.run();
      await source.done;
      expect(texts).toEqual(["é"]);
      await loop.close();
      await run;
    }));

  test("is destroyed with the source, and what it may have to say to that harms nobody", () =>
    withLoop(async ({ loop, kind }) => {
      const stream = new Readable({ read() {}, destroy: (_, done) => done(new Error("while closing")) });
      await loop.source(kind, stream).stop();
      await settled();
      expect(stream.destroyed).toBe(true);
    }));
});

describe("an event target", () => {
  test("gives the data of its messages, or what map makes of its events", () =>
    withLoop(async ({ loop, kind, texts }) => {
      const target = new EventTarget();
      const bytes = new Uint8Array([104, 105]);
      const plain = loop.source(kind, target);
      const mapped = loop.source(kind, target, {
        event: "tick",
        map: (event: Event & { count: number }) => (event.count < 0 ? undefined : `tick ${event.count}`),
      });
      target.dispatchEvent(new MessageEvent("message", { data: "text" }));
      target.dispatchEvent(new MessageEvent("message", { data: bytes }));
      target.dispatchEvent(new MessageEvent("message", { data: new Uint8Array([0, 111, 107]).buffer.slice(1) }));
      target.dispatchEvent(new MessageEvent("message", { data: new DataView(bytes.buffer, 1) }));
      for (const count of [1, -1, 2]) target.dispatchEvent(Object.assign(new Event("tick"), { count }));
      for (const source of [plain, mapped]) void source.stop();
      target.dispatchEvent(new MessageEvent("message", { data: "late" }));
      await loop.runUntilIdle();
      expect(texts).toEqual(["text", "hi", "ok", "i", "tick 1", "tick 2"]);
      expect((await plain.done).messages + (await mapped.done).messages).toBe(6);
    }));

  test("has no listener of a source that was stopped, so that it does not keep it", () =>
    withLoop(async ({ loop, kind }) => {
      const target = new EventTarget();
      const source = loop.source(kind, target);
      expect(getEventListeners(target, "message").length).toBe(1);
      await source.stop();
      expect(getEventListeners(target, "message").length).toBe(0);
    }));

  test("that holds back as browsers' message ports do is started, and nothing else that has a start", () =>
    withLoop(async ({ loop, kind }) => {
      const started: string[] = [];
      class Starting extends EventTarget {
        start = () => started.push(this.constructor.name);
      }
      class Port extends Starting {
        postMessage(): void {}
      }
      for (const target of [new Starting(), new Port()]) await loop.source(kind, target).stop();
      expect(started).toEqual(["Port"]);
    }));

  test("that is a message port is started, and its messages wait in the backlog, since it cannot be paused", () =>
    withLoop(
      async ({ loop, kind, texts }) => {
        const { port1, port2 } = new NodeMessageChannel();
        for (let index = 0; index < 50; index++) port2.postMessage(String(index));
        const source = loop.source(kind, port1);
        while (source.stats().backlogBytes === 0) await settled();
        const run = loop.run();
        while (texts.length < 50) await settled();
        expect(texts).toEqual(Array.from({ length: 50 }, (_, index) => String(index)));
        await source.stop();
        port1.close();
        await loop.close();
        await run;
      },
      { queue: { capacity: 4 } },
    ));
});
