import { execFile } from "node:child_process";
import { getEventListeners, once } from "node:events";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { createLoop, createRuntime, type RingMessage, type SourceError } from "tidemark";
import { describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { settled, withLoop } from "./sourceSupport.js";

/** Runs `body` with a server on loopback that does `serve` with each connection. */
async function withServer(serve: (socket: WebSocket) => void, body: (url: string) => Promise<void>): Promise<void> {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  server.on("connection", serve);
  await new Promise((resolve) => server.once("listening", resolve));
  try {
    await body(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    for (const client of server.clients) client.terminate();
    await new Promise((resolve) => server.close(resolve));
  }
}

describe("a WebSocket of the ws package", () => {
  test("gives texts and bytes in order, and a slow handler reaches the sender: bounded memory, nothing lost", () => {
    const COUNT = 20_000;
    let buffered = 0;
    const serve = async (socket: WebSocket) => {
      for (let index = 0; index < COUNT; index++) {
        const text = `${index} ${"x".repeat(500)}`;
        // What the connection does not take piles up here, and is waited for: so the pressure shows.
        await new Promise((resolve) => socket.send(index % 2 === 0 ? text : Buffer.from(text), resolve));
        buffered = Math.max(buffered, socket.bufferedAmount);
      }
      socket.close(1000);
    };
    return withServer(
      (socket) => void serve(socket),
      (url) =>
        withLoop(
          async ({ loop, kind, texts }) => {
            const source = loop.source(kind, new WebSocket(url), { ringBytes: 65_536 });
            const run = loop.run();
            let backlog = 0;
            const watch = setInterval(() => {
              backlog = Math.max(backlog, source.stats().backlogBytes);
              source.validate();
            }, 1);
            const report = await source.done;
            clearInterval(watch);
            expect(report).toMatchObject({ messages: COUNT, ended: "end" });
            expect(report.pauses).toBeGreaterThan(10);
            expect(backlog).toBeLessThan(300_000);
            expect(texts.length).toBe(COUNT);
            expect(texts.findIndex((text, index) => !text.startsWith(`${index} x`))).toBe(-1);
            await loop.close();
            await run;
          },
          { queue: { capacity: 64 }, inFlight: 4, handle: () => new Promise<void>((resolve) => setImmediate(resolve)) },
        ),
    );
  });

  test("that is closed with another code than 1000, or breaks off, or is refused, is disconnected, with the cause", async () => {
    const failureAt = async (url: string): Promise<SourceError> => {
      let failure: unknown;
      await withLoop(async ({ loop, kind, texts }) => {
        const source = loop.source(kind, new WebSocket(url));
        const run = loop.run();
        failure = await source.done.catch((error: unknown) => error);
        expect(texts.every((text) => text === "before")).toBe(true);
        await loop.close();
        await run;
      });
      return failure as SourceError;
    };
    const closing = (close: (socket: WebSocket) => void) => (socket: WebSocket) =>
      socket.send("before", () => close(socket));
    await withServer(
      closing((socket) => socket.close(1001, "going away")),
      async (url) =>
        expect(await failureAt(url)).toMatchObject({
          reason: "disconnected",
          message: "the WebSocket was closed with code 1001: going away",
        }),
    );
    await withServer(
      closing((socket) => socket.terminate()),
      async (url) => expect(await failureAt(url)).toMatchObject({ reason: "disconnected", message: /code 1006/ }),
    );
    expect(await failureAt("ws://127.0.0.1:1")).toMatchObject({
      reason: "disconnected",
      cause: { code: "ECONNREFUSED" },
    });
  });

  test.each([
    ["a message that is too long", { maximumMessageBytes: 10 }, 1009],
    ["stop()", {}, 1000],
  ] as const)("is closed by %s, and the other side is told why", async (what, options, expected) => {
    let code: Promise<number> | undefined;
    await withServer(
      (socket) => {
        code = new Promise((resolve) => socket.once("close", resolve));
        socket.send("more than ten bytes");
      },
      (url) =>
        withLoop(async ({ loop, kind, texts }) => {
          const source = loop.source(kind, new WebSocket(url), options);
          const run = loop.run();
          if (what === "stop()") {
            while (texts.length === 0) await settled();
            await source.stop();
          } else {
            await expect(source.done).rejects.toMatchObject({ reason: "too-long" });
          }
          expect(await code).toBe(expected);
          await loop.close();
          await run;
        }),
    );
  });

  test("that was closed before is disconnected, and one that is stopped while it connects harms nobody", () =>
    withServer(
      () => {},
      (url) =>
        withLoop(async ({ loop, kind }) => {
          const closed = new WebSocket(url);
          await once(closed, "open");
          closed.close();
          await once(closed, "close");
          const source = loop.source(kind, closed);
          const run = loop.run();
          await expect(source.done).rejects.toMatchObject({
            reason: "disconnected",
            message: "the WebSocket was closed with code 1006: before the source was made",
          });
          const connecting = new WebSocket(url);
          const gone = new Promise((resolve) => connecting.once("close", resolve));
          expect(await loop.source(kind, connecting).stop()).toMatchObject({ messages: 0, ended: "stopped" });
          await gone;
          await loop.close();
          await run;
        }),
    ));

  test("that is stopped while somebody else closes it is left to that, and what it still has to say harms nobody", () =>
    withServer(
      () => {},
      (url) =>
        withLoop(async ({ loop, kind }) => {
          for (const state of ["connecting", "open"]) {
            const socket = new WebSocket(url);
            if (state === "open") await once(socket, "open");
            const source = loop.source(kind, socket);
            const gone = new Promise((resolve) => socket.once("close", resolve));
            socket.close(1000); // of one that connects, an error says in the next tick that it never will
            const calls: string[] = [];
            Object.assign(socket, { close: () => calls.push("close"), resume: () => calls.push("resume") });
            expect(socket.readyState).toBe(WebSocket.CLOSING);
            const stopped = source.stop();
            expect(calls).toEqual([]);
            Reflect.deleteProperty(socket, "close");
            Reflect.deleteProperty(socket, "resume");
            expect(await stopped).toMatchObject({ messages: 0, ended: "stopped" });
            await gone;
          }
        }),
    ));

  test("that is left has its kind of data back, is not closed, and goes on for somebody else", () =>
    withServer(
      (socket) => socket.on("message", (data) => socket.send(String(data))),
      (url) =>
        withLoop(async ({ loop, kind, texts }) => {
          const socket = new WebSocket(url);
          socket.binaryType = "arraybuffer";
          await once(socket, "open");
          const source = loop.source(kind, socket, { onStop: "leave" });
          const run = loop.run();
          socket.send("one");
          while (texts.length === 0) await settled();
          expect(await source.stop()).toMatchObject({ messages: 1, ended: "stopped" });
          expect([socket.binaryType, socket.readyState, socket.isPaused]).toEqual([
            "arraybuffer",
            WebSocket.OPEN,
            false,
          ]);
          const echoed = once(socket, "message");
          socket.send("two");
          expect(String((await echoed)[0])).toBe("two");
          expect(texts).toEqual(["one"]);
          socket.terminate();
          await loop.close();
          await run;
        }),
    ));
});

/** A browser's WebSocket by its shape. */
class BrowserSocket extends EventTarget {
  binaryType = "blob";
  readyState = 1;
  closed: number | undefined;

  send(): void {}

  close(code = 1005): void {
    if (code !== 1000 && (code < 3000 || code > 4999)) throw new Error(`InvalidAccessError: ${code}`);
    this.closed = code;
  }

  receive(data: string | ArrayBuffer): void {
    this.dispatchEvent(new MessageEvent("message", { data }));
  }

  end(code: number, reason = ""): void {
    this.readyState = 3;
    this.dispatchEvent(Object.assign(new Event("close"), { code, reason }));
  }
}

describe("a browser's WebSocket", () => {
  test("gives texts and buffers, which it is told to; what comes while there is no room waits, up to the bound", () =>
    withLoop(
      async ({ loop, kind, texts }) => {
        const socket = new BrowserSocket();
        const source = loop.source(kind, socket, { backlogBytes: 74 });
        expect(socket.binaryType).toBe("arraybuffer");
        socket.receive("one");
        socket.receive(new Uint8Array([50]).buffer);
        socket.receive("3".repeat(10));
        socket.receive("4".repeat(10));
        expect(source.stats()).toMatchObject({ state: "paused", messages: 2, backlogBytes: 74 });
        const run = loop.run();
        while (texts.length < 4) await settled();
        socket.end(1000);
        expect(await source.done).toMatchObject({ messages: 4, ended: "end" });
        expect(texts.map((text) => text.slice(0, 3))).toEqual(["one", "2", "333", "444"]);
        await loop.close();
        await run;
      },
      { queue: { capacity: 2 } },
    ));

  test("that sends more than may wait is closed with 4013, since a program there may not say 1013", () =>
    withLoop(
      async ({ loop, kind, texts }) => {
        const socket = new BrowserSocket();
        const source = loop.source(kind, socket, { backlogBytes: 148 });
        const failed = source.done.catch((error: unknown) => error);
        for (let index = 0; index < 9; index++) socket.receive(`${index}`.repeat(10));
        expect(socket.closed).toBe(4013);
        const run = loop.run();
        expect(await failed).toMatchObject({ reason: "overrun" });
        expect(texts.map((text) => text[0])).toEqual(["0", "1", "2", "3"]);
        await loop.close();
        await run;
      },
      { queue: { capacity: 1 } },
    ));

  test("that was closed before, or is closed for another reason, is disconnected", () =>
    withLoop(async ({ loop, kind }) => {
      const socket = new BrowserSocket();
      const source = loop.source(kind, socket);
      socket.end(1011, "broken");
      await expect(source.done).rejects.toMatchObject({
        reason: "disconnected",
        message: "the WebSocket was closed with code 1011: broken",
      });
      await expect(loop.source(kind, socket).done).rejects.toMatchObject({ reason: "disconnected" });
    }));

  test("that fails to connect, and tells of the error alone as Node's does before version 24, is disconnected", () =>
    withLoop(async ({ loop, kind }) => {
      const socket = new BrowserSocket();
      socket.readyState = 0;
      const source = loop.source(kind, socket);
      const cause = new Error("connection refused");
      socket.dispatchEvent(Object.assign(new Event("error"), { error: cause }));
      await expect(source.done).rejects.toMatchObject({ reason: "disconnected", cause });
      expect(source.stats().state).toBe("ended");
    }));

  test("that is stopped is closed with 1000, but for one that is closing already", () =>
    withLoop(async ({ loop, kind }) => {
      const socket = new BrowserSocket();
      await loop.source(kind, socket).stop();
      expect(socket.closed).toBe(1000);
      const closing = new BrowserSocket();
      closing.readyState = 2;
      await loop.source(kind, closing).stop();
      expect(closing.closed).toBe(undefined);
    }));

  test("that is left has its kind of data back", () =>
    withLoop(async ({ loop, kind }) => {
      const socket = new BrowserSocket();
      await loop.source(kind, socket, { onStop: "leave" }).stop();
      expect(socket.binaryType).toBe("blob");
      expect(socket.closed).toBe(undefined);
    }));
});

test("a WebSocket that is left has no listener of its source, of either kind", () =>
  withServer(
    () => {},
    async (url) => {
      const pausable = new WebSocket(url);
      await once(pausable, "open");
      const plain = new BrowserSocket();
      const types = ["message", "error", "close"];
      const listeners = () => [
        types.map((type) => pausable.listenerCount(type)),
        types.map((type) => getEventListeners(plain, type).length),
      ];
      const before = listeners();
      await withLoop(async ({ loop, kind }) => {
        const sources = [pausable, plain].map((socket) => loop.source(kind, socket, { onStop: "leave" }));
        expect(listeners()).toEqual(before.map((counts) => counts.map((count) => count + 1)));
        for (const source of sources) await source.stop();
        expect(listeners()).toEqual(before);
      });
    },
  ));

test("Node's own WebSocket is one of these", async () => {
  const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;
  const program = `
    const { createLoop, createRuntime } = await import(${JSON.stringify(entry)});
    using runtime = await createRuntime();
    const loop = createLoop(runtime);
    const texts = [];
    const kind = loop.on("message", (message) => void texts.push(message.toString()));
    const source = loop.source(kind, new WebSocket(process.argv[1]));
    const run = loop.run();
    const report = await source.done;
    await loop.close();
    await run;
    console.log(JSON.stringify({ texts, report }));
  `.replace("using", "const");
  await withServer(
    (socket) => {
      socket.send("text");
      socket.send(Buffer.from("bytes"));
      socket.close(1000);
    },
    async (url) => {
      const flags = ["--experimental-websocket", "--disable-warning=ExperimentalWarning", "--input-type=module"];
      const { stdout } = await promisify(execFile)(process.execPath, [...flags, "--eval", program, url]);
      expect(JSON.parse(stdout)).toMatchObject({ texts: ["text", "bytes"], report: { messages: 2, ended: "end" } });
    },
  );
});

test("the connection of a source that runs keeps the process alive, and the loop's close lets it end", async () => {
  const runtime = await createRuntime();
  await withServer(
    () => {},
    async (url) => {
      const loop = createLoop(runtime);
      const kind = loop.on("message", (_: RingMessage) => {});
      const socket = new WebSocket(url);
      await new Promise((resolve) => socket.once("open", resolve));
      const source = loop.source(kind, socket);
      const closed = new Promise((resolve) => socket.once("close", resolve));
      await loop.close();
      expect(await source.done).toMatchObject({ ended: "loop-closed" });
      await closed;
    },
  );
  runtime.dispose();
});
