import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;

/**
 * What a million events may leave on the heap: the host's hops and clock readings. From Node 24 on a reading is 88 bytes until it is
 * compiled. The smallest object has 12 bytes.
 */
const HEAP_BYTES = 1_500_000 * (Number.parseInt(process.versions.node, 10) < 24 ? 1 : 2);

/** Runs in a process of its own, where nobody else makes garbage. */
const program = `
  import { PerformanceObserver } from "node:perf_hooks";
  const { createLoop, createRuntime } = await import(${JSON.stringify(entry)});
  const [, framing, wasteful] = process.argv;

  const runtime = await createRuntime();
  const loop = createLoop(runtime, { queue: { capacity: 4096 } });
  let bytes = 0;
  let kept;
  const kind = loop.on("message", (message) => {
    bytes += message.length + message.get(0);
    if (wasteful) kept = message.view();
  });

  // A Node stream by its shape, which sends the same chunk again and again.
  const listeners = {};
  const faucet = {
    paused: false,
    on(event, listener) { listeners[event] = listener; },
    removeListener() {},
    pause() { this.paused = true; },
    resume() { this.paused = false; },
  };
  const source = loop.source(kind, faucet, { framing });
  const message = "x".repeat(99);
  const text = { message, line: (message + "\\n").repeat(500), length: ("\\0\\0\\0\\x63" + message).repeat(500) }[framing];
  const chunk = new TextEncoder().encode(text);
  const messagesPerChunk = framing === "message" ? 1 : 500;

  async function play(messages) {
    for (let sent = 0; sent < messages; ) {
      // A lot, as a socket read would bring them, and then a turn. So no more is sent than there is room for.
      for (let lot = 0; lot < 2000 && !faucet.paused; lot += messagesPerChunk) {
        listeners.data(chunk);
        sent += messagesPerChunk;
      }
      await loop.runUntilIdle();
    }
  }

  await play(300_000);
  const before = runtime.stats();
  const handled = loop.stats().processed;
  let collections = 0;
  const observer = new PerformanceObserver((list) => { collections += list.getEntries().length; });
  observer.observe({ entryTypes: ["gc"] });
  gc();
  await new Promise((resolve) => setTimeout(resolve, 50));
  collections = 0;
  const heapBefore = process.memoryUsage().heapUsed;
  await play(1_000_000);
  const heapBytes = process.memoryUsage().heapUsed - heapBefore;
  await new Promise((resolve) => setTimeout(resolve, 50));
  collections += observer.takeRecords().length;
  const after = runtime.stats();
  const { pauses, ring } = source.stats();
  console.log(JSON.stringify({ collections, heapBytes, before, after, pauses, ring, processed: loop.stats().processed - handled }));
`;

async function play(...words: string[]) {
  const node = promisify(execFile);
  const { stdout } = await node(process.execPath, ["--expose-gc", "--input-type=module", "--eval", program, ...words]);
  return JSON.parse(stdout);
}

test.each(["message", "line", "length"])(
  "a million messages through a source cause no collection and take no more memory: %s",
  async (framing) => {
    const { collections, heapBytes, before, after, processed, pauses, ring } = await play(framing);
    expect(processed).toBe(1_000_000);
    expect(collections).toBe(0);
    expect(heapBytes).toBeLessThan(HEAP_BYTES);
    expect(after).toEqual(before);
    expect(pauses).toBe(0);
    expect(ring.used).toBe(0);
  },
);

test("collections are counted where a handler takes views, so that none means none", async () => {
  const { collections } = await play("line", "wasteful");
  expect(collections).toBeGreaterThan(0);
});
