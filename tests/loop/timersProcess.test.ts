import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const entry = new URL("../../build/bindings/index.node.js", import.meta.url).href;

/** Runs `body` with timers on the platform's host in a process of its own. Returns what it prints, and how it ends. */
async function run(body: string): Promise<{ lines: string[]; code: number; stderr: string }> {
  const program = `
    const { createRuntime, createTimers } = await import(${JSON.stringify(entry)});
    const runtime = await createRuntime();
    const timers = createTimers(runtime);
    const start = performance.now();
    process.on("exit", () => console.log("exit", performance.now() - start < 5000 ? "soon" : "late"));
    ${body}
  `;
  const options = { timeout: 30_000 };
  const result = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program], options).then(
    ({ stdout, stderr }) => ({ stdout, stderr, code: 0 }),
    (error) => error as { stdout: string; stderr: string; code: number },
  );
  return { lines: result.stdout.trim().split("\n"), code: result.code, stderr: result.stderr };
}

test("a process goes on for a timer, never early, and ends when none is left", async () => {
  const { lines } = await run(`
    const armed = performance.now();
    timers.after(30.5, () => console.log("fired", performance.now() - armed >= 30.5 ? "in time" : "early"));
    timers.after(60_000, () => console.log("never")).unref();
    const cancelled = timers.after(60_000, () => console.log("never"));
    timers.after(40, () => cancelled.cancel());
  `);
  expect(lines).toEqual(["fired in time", "exit soon"]);
});

test("a process does not go on for timers that are unref'd, cancelled or disposed of", async () => {
  expect((await run(`timers.every(60_000, () => {}).unref(); timers.after(60_000, () => {}).cancel();`)).lines).toEqual(
    ["exit soon"],
  );
  expect((await run(`timers.after(60_000, () => {}); await 0; timers.dispose();`)).lines).toEqual(["exit soon"]);
  expect((await run(`timers.after(60_000, () => {}); await 0; runtime.dispose();`)).lines).toEqual(["exit soon"]);
});

test("an error that nobody is told of ends the process, as one in setTimeout does, after the others have fired", async () => {
  const { lines, code, stderr } = await run(`
    timers.after(5, () => { throw new Error("from a timer"); });
    timers.after(5, () => console.log("other"));
    for (const end = performance.now() + 20; performance.now() < end; ); // until both are due
  `);
  expect(lines).toEqual(["other", "exit soon"]);
  expect(code).toBe(1);
  expect(stderr).toContain("from a timer");
});
