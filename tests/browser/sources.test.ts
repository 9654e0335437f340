import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { type FileServer, launchChromium, serve } from "./host.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const MESSAGES = 2000;
const texts = Array.from({ length: MESSAGES }, (_, index) => `${index} ${"x".repeat((index * 37) % 60)} é`);

/** Reads the stream that the query names with a handler that waits at times, and a ring that is too small for all of it. */
const PAGE = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<script type="importmap">{ "imports": { "@assemblyscript/loader": "/loader/index.js" } }</script>
<body><script type="module">
  import { createLoop, createRuntime } from "/build/bindings/index.js";
  const query = new URLSearchParams(location.search);
  const runtime = await createRuntime();
  const loop = createLoop(runtime, { queue: { capacity: 64 } });
  const lines = [];
  const kind = loop.on("line", async (message) => {
    lines.push(message.toString());
    if (lines.length % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  });
  const open = {
    socket: () => new WebSocket(query.get("url")),
    body: async () => (await fetch("/lines.txt")).body,
    worker: () => new Worker(URL.createObjectURL(new Blob([
      "for (let index = 0; index < 2000; index++) postMessage(index + ' from a worker'); postMessage('')",
    ], { type: "text/javascript" }))),
  };
  const outcome = {};
  try {
    const stream = await open[query.get("stream")]();
    const framing = query.get("stream") === "body" ? "line" : "message";
    const source = loop.source(kind, stream, { framing, ringBytes: 16384, maximumMessageBytes: 1024 });
    const running = loop.run();
    if (query.get("stream") === "worker") {
      while (lines.at(-1) !== "") await new Promise((resolve) => setTimeout(resolve, 5));
      lines.pop();
      source.stop();
    }
    Object.assign(outcome, { report: await source.done, ring: source.stats().ring });
    await loop.close();
    await running;
  } catch (error) {
    Object.assign(outcome, { code: error.code, reason: error.reason, message: String(error) });
    await loop.close();
  }
  runtime.dispose();
  document.body.dataset.outcome = JSON.stringify({ ...outcome, lines });
</script>`;

let folder: string;
let server: FileServer;
let browser: Browser;
let sockets: WebSocketServer;
/** What a WebSocket that has come in gets. */
let feed: (socket: WebSocket) => void;

beforeAll(async () => {
  browser = await launchChromium();
  folder = mkdtempSync(join(tmpdir(), "tidemark-sources-"));
  for (const path of ["build/bindings", "build/tidemark.wasm"]) {
    cpSync(join(root, path), join(folder, path), { recursive: true });
  }
  cpSync(join(root, "node_modules/@assemblyscript/loader"), join(folder, "loader"), {
    recursive: true,
    dereference: true,
  });
  writeFileSync(join(folder, "page.html"), PAGE);
  writeFileSync(join(folder, "lines.txt"), texts.join("\r\n"));
  server = await serve(folder, {});
  sockets = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise<void>((resolve) => {
    sockets.once("listening", resolve);
  });
  sockets.on("connection", (socket) => feed(socket));
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
  sockets?.close();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

async function open(stream: string) {
  const { port } = sockets.address() as AddressInfo;
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(`${server.url}page.html?stream=${stream}&url=ws://127.0.0.1:${port}/`);
  await page.waitForSelector("body[data-outcome]", { state: "attached", timeout: 60_000 }).catch(() => {});
  const outcome = JSON.parse((await page.getAttribute("body", "data-outcome")) ?? "null");
  await page.close();
  expect(complaints).toEqual([]);
  return outcome;
}

test("a page's WebSocket is a source that loses nothing, though it cannot be paused", async () => {
  feed = (socket) => {
    for (const text of texts) socket.send(text);
    socket.close(1000);
  };
  const { lines, report } = await open("socket");
  expect(lines).toEqual(texts);
  expect(report).toMatchObject({ messages: MESSAGES, skipped: 0, ended: "end" });
  expect(report.pauses).toBeGreaterThan(0);
});

test("a page's WebSocket that is torn down is a typed error, after what had come before", async () => {
  feed = (socket) => {
    for (const text of texts.slice(0, 100)) socket.send(text);
    setTimeout(() => socket.terminate(), 200);
  };
  const { lines, code, reason } = await open("socket");
  expect(lines).toEqual(texts.slice(0, 100));
  expect([code, reason]).toEqual(["ERR_TIDEMARK_SOURCE", "disconnected"]);
});

test("the body of a fetch is a source, line by line", async () => {
  const { lines, report } = await open("body");
  expect(lines).toEqual(texts);
  expect(report).toMatchObject({ messages: MESSAGES, ended: "end" });
});

test("a worker is a source of its messages until it is stopped", async () => {
  const { lines, report } = await open("worker");
  expect(lines).toEqual(texts.map((_, index) => `${index} from a worker`));
  expect(report).toMatchObject({ messages: MESSAGES + 1, ended: "stopped" });
});
