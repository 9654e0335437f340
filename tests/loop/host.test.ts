import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { createLoop, createRuntime, platformHost } from "tidemark";
import { afterEach, describe, expect, test, vi } from "vitest";

const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;

afterEach(() => vi.unstubAllGlobals());

/** Hops twice, and tells what came down in which order. */
async function hopTwice(): Promise<string[]> {
  const { hop } = platformHost();
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    hop(() => order.push("first"));
    hop(() => {
      order.push("second");
      resolve();
    });
    order.push("hopping");
    queueMicrotask(() => order.push("microtask"));
  });
  return order;
}

describe("the platform's host", () => {
  const order = ["hopping", "microtask", "first", "second"];

  test("hops in order, after what runs and its microtasks", async () => {
    expect(await hopTwice()).toEqual(order);
  });

  test("hops by postTask where there is no setImmediate", async () => {
    vi.stubGlobal("setImmediate", undefined);
    let tasks = 0;
    vi.stubGlobal("scheduler", {
      postTask(callback: () => void) {
        tasks++;
        return new Promise<void>((resolve) => setTimeout(() => resolve(callback()), 0));
      },
    });
    expect(await hopTwice()).toEqual(order);
    expect(tasks).toBe(2);
  });

  test("hops by a message where there is neither", async () => {
    vi.stubGlobal("setImmediate", undefined);
    const { port1, port2 } = new MessageChannel();
    vi.stubGlobal(
      "MessageChannel",
      class {
        readonly port1 = port1;
        readonly port2 = port2;
      },
    );
    expect(await hopTwice()).toEqual(order);
    port1.close();
  });

  test("hops by a timer where there is nothing else", async () => {
    vi.stubGlobal("setImmediate", undefined);
    vi.stubGlobal("MessageChannel", undefined);
    expect(await hopTwice()).toEqual(order);
  });

  test("has timers that can be cancelled, before and after they have fired", async () => {
    const host = platformHost();
    const fired: string[] = [];
    const cancel = host.after(1, () => fired.push("cancelled"));
    cancel();
    const start = host.now();
    const late = await new Promise<() => void>((resolve) => {
      const cancelLate = host.after(10, () => {
        fired.push("fired");
        resolve(cancelLate);
      });
    });
    expect(host.now() - start).toBeGreaterThan(8);
    late();
    expect(fired).toEqual(["fired"]);
  });
});

describe("a loop on the platform's host", () => {
  test("handles what is posted while it runs, and closes", async () => {
    using runtime = await createRuntime();
    const loop = createLoop(runtime);
    const seen: string[] = [];
    const kind = loop.on("text", async (text: string, { region }) => {
      const bytes = region.text(text);
      await new Promise((resolve) => setTimeout(resolve, 1));
      seen.push(bytes.toString());
    });
    const run = loop.run();
    kind.post("a");
    await new Promise((resolve) => setTimeout(resolve, 5));
    kind.post("b");
    expect(await loop.close()).toEqual({ processed: 2, dropped: 0, abandoned: 0 });
    await run;
    expect(seen).toHaveLength(2);
  });

  test("that posts to itself for ever starves neither timers nor its own close", async () => {
    using runtime = await createRuntime();
    const loop = createLoop(runtime, { turn: { milliseconds: 1 } });
    const kind = loop.on("again", (value: number) => {
      if (loop.stats().queued < 100 && !closing) kind.post(value);
    });
    let closing = false;
    for (let value = 0; value < 10; value++) kind.post(value);
    const run = loop.run();
    let ticks = 0;
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        if (++ticks < 10) return;
        clearInterval(timer);
        resolve();
      }, 1);
    });
    closing = true;
    const report = await loop.close({ deadline: 1000 });
    await run;
    expect(report.dropped).toBe(0);
    expect(report.processed).toBeGreaterThan(10); // how many turns fit between ticks is the machine's affair
  });

  test("keeps no process alive while it is idle, though it runs", async () => {
    const program = `
      const { createLoop, createRuntime } = await import(${JSON.stringify(entry)});
      const loop = createLoop(await createRuntime());
      const kind = loop.on("kind", (value) => console.log("handled", value));
      loop.run();
      kind.post(1);
      setTimeout(() => kind.post(2), 20);
      process.on("exit", () => console.log("left with", loop.stats().processed, "processed"));
    `;
    const node = promisify(execFile);
    const { stdout } = await node(process.execPath, ["--input-type=module", "--eval", program], { timeout: 20_000 });
    expect(stdout.trim().split("\n")).toEqual(["handled 1", "handled 2", "left with 2 processed"]);
  });
});
