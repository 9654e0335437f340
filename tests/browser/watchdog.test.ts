import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type FileServer, launchChromium, serve } from "./host.js";

const ISOLATED = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

/** Watches a heartbeat, and blocks for a second. */
const PAGE = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><body><script type="module">
  import { webPlatform } from "/bindings/loop/platform.web.js";
  import { WatchdogThread } from "/bindings/loop/watchdogThread.js";
  const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  const thread = new WatchdogThread(webPlatform, { slowAfter: 25, reportsEvery: 1000 });
  thread.declare(0, "depth");
  while (thread.state === "starting") await sleep(5);
  const began = Date.now();
  thread.heartbeat?.beat(42, 0);
  for (const end = performance.now() + 1000; performance.now() < end; );
  thread.heartbeat?.rest();
  const ended = Date.now();
  const { state } = thread;
  const suspect = thread.heartbeat?.suspect;
  thread.close();
  document.body.dataset.outcome = JSON.stringify({ began, ended, state, suspect, closed: thread.state });
</script>`;

interface Outcome {
  readonly began: number;
  readonly ended: number;
  readonly state: string;
  readonly suspect?: number;
  readonly closed: string;
}

let folder: string;
let browser: Browser;
const servers: FileServer[] = [];

beforeAll(async () => {
  browser = await launchChromium();
  folder = mkdtempSync(join(tmpdir(), "tidemark-watchdog-"));
  cpSync(fileURLToPath(new URL("../../build/bindings", import.meta.url)), join(folder, "bindings"), {
    recursive: true,
  });
  writeFileSync(join(folder, "page.html"), PAGE);
});

afterAll(async () => {
  await browser?.close();
  for (const server of servers) await server.close();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

/** Opens the page; gives what it has found, and the warnings on the console with the times at which they came. */
async function open(headers: Readonly<Record<string, string>>, policy?: string) {
  const server = await serve(folder, policy === undefined ? {} : { "/page.html": policy }, headers);
  servers.push(server);
  const page = await browser.newPage();
  const warnings: { text: string; at: number }[] = [];
  page.on("console", (message) => {
    if (message.type() === "warning") warnings.push({ text: message.text(), at: Date.now() });
  });
  await page.goto(`${server.url}page.html`);
  await page.waitForSelector("body[data-outcome]", { state: "attached" });
  const outcome = JSON.parse((await page.getAttribute("body", "data-outcome"))!) as Outcome;
  await page.close();
  return { outcome, warnings };
}

describe("the watchdog's worker in a browser", () => {
  test("reports a handler while it still blocks a page that is cross-origin isolated", async () => {
    const { outcome, warnings } = await open(ISOLATED);
    expect(outcome).toMatchObject({ state: "watching", suspect: 42, closed: "closed" });
    expect(warnings[0]!.text).toMatch(
      /^tidemark: the handler of "depth" \(event 42\) has held the loop for \d+ ms, and/,
    );
    expect(warnings[0]!.at).toBeGreaterThanOrEqual(outcome.began);
    expect(warnings[0]!.at).toBeLessThan(outcome.ended);
  });

  test("is unavailable with a message where threads share no memory", async () => {
    const { outcome, warnings } = await open({});
    expect(outcome.state).toBe("unavailable");
    expect(warnings.map(({ text }) => text)).toEqual([expect.stringContaining("cross-origin isolated")]);
  });

  test("is unavailable with a message where the page's policy allows no worker", async () => {
    const policy = "default-src 'none'; script-src 'self' 'unsafe-inline'; worker-src 'none'; img-src data:";
    const { outcome, warnings } = await open(ISOLATED, policy);
    expect(outcome.state).toBe("unavailable");
    expect(warnings.map(({ text }) => text)).toEqual([expect.stringMatching(/^tidemark: .*worker/)]);
  });
});
