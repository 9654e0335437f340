import { spawn } from "node:child_process";
import { describe, expect, test } from "vitest";

const folder = new URL("../../build/bindings/loop/", import.meta.url).href;

/** Runs `body` in a process of its own, with a watched heartbeat. Gives what it writes, in the order in which its threads have. */
function run(body: string): Promise<{ lines: string[]; code: number | null; took: number }> {
  const program = `
    import { MessageChannel, Worker } from "node:worker_threads";
    import { writeSync } from "node:fs";
    import { nodePlatform } from "${folder}platform.node.js";
    import { WatchdogThread } from "${folder}watchdogThread.js";
    const print = (text) => writeSync(2, text + "\\n");
    const block = (milliseconds) => { for (const end = performance.now() + milliseconds; performance.now() < end; ); };
    const watching = async (thread) => { while (thread.state === "starting") await new Promise((r) => setTimeout(r, 5)); };
    const orders = { slowAfter: 25, reportsEvery: 1000 };
    ${body}
  `;
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(process.execPath, ["--input-type=module", "--eval", program], { timeout: 30_000 });
    let written = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      written += text;
    });
    child.on("error", reject);
    child.on("close", (code) => {
      resolve({ lines: written.split("\n").filter(Boolean), code, took: performance.now() - start });
    });
  });
}

const REPORT = /^tidemark: the handler of "depth" \(event 42\) has held the loop for (\d+) ms, and still does$/;

describe("the watchdog's worker in Node", () => {
  test("reports a handler before it returns, and keeps no process alive", async () => {
    const { lines, code, took } = await run(`
      const thread = new WatchdogThread(nodePlatform, orders);
      thread.declare(0, "depth");
      await watching(thread);
      print("begins");
      thread.heartbeat.beat(42, 0);
      block(1000);
      print("returns");
      thread.heartbeat.rest();
    `);
    expect(lines).toEqual(["begins", expect.stringMatching(REPORT), "returns"]);
    expect(code).toBe(0);
    expect(took).toBeLessThan(20_000);
  });

  test("reports a handler that blocks from the very beginning on, and has told which it was when that returns", async () => {
    const { lines } = await run(`
      const thread = new WatchdogThread(nodePlatform, orders);
      thread.declare(0, "depth");
      thread.heartbeat.beat(42, 0);
      block(2000);
      print("suspect " + thread.heartbeat.suspect);
      thread.close();
      print(thread.state);
    `);
    expect(lines).toEqual([expect.stringMatching(REPORT), "suspect 42", "closed"]);
  });

  test("reports to a port of another thread, if it is given one", async () => {
    const { lines } = await run(`
      const { port1, port2 } = new MessageChannel();
      const listener = new Worker(\`
        const { workerData, parentPort } = require("node:worker_threads");
        workerData.on("message", (report) => require("node:fs").writeSync(2, JSON.stringify(report) + "\\\\n"));
        parentPort.postMessage("listening");
      \`, { eval: true, execArgv: [], workerData: port2, transferList: [port2] });
      await new Promise((resolve) => listener.once("message", resolve));
      listener.unref();
      const thread = new WatchdogThread(nodePlatform, { ...orders, port: port1 });
      thread.declare(0, "depth");
      await watching(thread);
      thread.heartbeat.beat(42, 0);
      block(1000);
      print("returns");
    `);
    expect(lines).toHaveLength(2);
    const report = JSON.parse(lines[0]!) as Record<string, unknown>;
    expect(report).toMatchObject({ kind: "depth", sequence: 42, suppressed: 0 });
    expect(lines[1]).toBe("returns");
  });

  test("is unavailable with a message when it ends by itself, and the process goes on", async () => {
    const { lines, code } = await run(`
      const platform = { startWatchdog(events) {
        const worker = new Worker(new URL("missing.js", "${folder}"));
        worker.on("error", (error) => events.failed(error.code));
        worker.unref();
        return { post() {}, end() { worker.removeAllListeners(); } };
      } };
      const thread = new WatchdogThread(platform, orders);
      while (thread.state === "starting") await new Promise((r) => setTimeout(r, 5));
      print(thread.state);
    `);
    expect(lines).toEqual([
      "tidemark: the watchdog's worker is unavailable, so slow handlers are told of when they return: MODULE_NOT_FOUND",
      "unavailable",
    ]);
    expect(code).toBe(0);
  });
});
