import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, transformSync } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeFeed, plainBook } from "./feed.js";
import { type FileServer, launchChromium, serve } from "./host.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; img-src data:";
const MESSAGES = 400;
const feed = makeFeed(MESSAGES, 20_260_701);
const wanted = plainBook(feed);

let folder: string;
let server: FileServer;
let browser: Browser;

const html = (head: string, script: string) => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Tidemark</title><link rel="icon" href="data:,">${head}</head>
<body>Bid <output id="bid"></output>, ask <output id="ask"></output> <output id="figures"></output>
<script type="module" src="${script}"></script></body>
</html>`;

/** Lays the built package and the loader out as npm would, and two pages beside them. */
beforeAll(async () => {
  browser = await launchChromium();
  folder = mkdtempSync(join(tmpdir(), "tidemark-browser-"));
  for (const path of ["package.json", "build/bindings", "build/tidemark.wasm", "build/tidemark.debug.wasm"]) {
    cpSync(join(root, path), join(folder, "node_modules/tidemark", path), { recursive: true });
  }
  const loader = "node_modules/@assemblyscript/loader";
  cpSync(join(root, loader), join(folder, loader), { recursive: true, dereference: true });
  const source = readFileSync(new URL("page/page.ts", import.meta.url), "utf8");
  writeFileSync(join(folder, "feed.ndjson"), `${feed.join("\n")}\n`);

  const { code } = transformSync(source, { loader: "ts", target: "es2022" });
  writeFileSync(join(folder, "page.js"), code);
  const imports = {
    tidemark: "/node_modules/tidemark/build/bindings/index.js",
    "@assemblyscript/loader": "/node_modules/@assemblyscript/loader/index.js",
  };
  const map = `<script type="importmap">${JSON.stringify({ imports })}</script>`;
  writeFileSync(join(folder, "unbundled.html"), html(map, "page.js"));

  await build({
    stdin: { contents: source, loader: "ts", resolveDir: folder, sourcefile: "page.ts" },
    absWorkingDir: folder,
    alias: { tidemark: "tidemark/inline" },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    outfile: "bundle.js",
    logLevel: "warning",
  });
  writeFileSync(join(folder, "bundled.html"), html("", "bundle.js"));
  server = await serve(folder, { "/bundled.html": POLICY });
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

/** Opens a page, waits until its program has ended, and gives the complaints of browser and page. */
async function open(path: string): Promise<{ page: Page; complaints: string[] }> {
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("requestfailed", (request) => complaints.push(`${request.url()} failed`));
  await page.goto(server.url + path);
  await page.waitForSelector("body[data-state]", { state: "attached", timeout: 60_000 }).catch(() => {});
  expect([await page.getAttribute("body", "data-state"), complaints]).toEqual(["done", []]);
  return { page, complaints };
}

async function expectBook(page: Page, debug: boolean): Promise<void> {
  expect(await page.textContent("#bid")).toBe(wanted.bid);
  expect(await page.textContent("#ask")).toBe(wanted.ask);
  const figures = JSON.parse((await page.textContent("#figures"))!) as Record<string, number | boolean>;
  expect(figures).toMatchObject({ bids: wanted.bids, asks: wanted.asks, debug });
  expect(figures).toMatchObject({ processed: MESSAGES, handled: MESSAGES, dropped: 0, abandoned: 0 });
  expect(figures.growthsInHandlers, "memory has grown in the middle of handlers").toBeGreaterThan(2);
  expect(figures.waits, "the queue was full at times").toBeGreaterThan(0);
}

describe.each([
  ["release", ""],
  ["debug", "?debug"],
])("a page with the %s module", (_name, query) => {
  test("that loads the package unbundled shows the book's best prices", async () => {
    const { page } = await open(`unbundled.html${query}`);
    await expectBook(page, query !== "");
    const wasm = query === "" ? "tidemark.wasm" : "tidemark.debug.wasm";
    expect(server.requests).toContain(`/node_modules/tidemark/build/${wasm}`);
    await page.close();
  });

  test("that loads the inline entry in a bundle does so under a strict content-security policy", async () => {
    const before = server.requests.length;
    const { page } = await open(`bundled.html${query}`);
    await expectBook(page, query !== "");
    expect(server.requests.slice(before)).toEqual(["/bundled.html", "/bundle.js", "/feed.ndjson"]);
    // The policy is in force: the page may not make code from text. In a timer, since the driver itself is exempt.
    const refused = await page.evaluate(
      () =>
        new Promise<string>((resolve) => {
          setTimeout(() => {
            try {
              resolve(new Function("return 'made'")());
            } catch (error) {
              resolve((error as Error).name);
            }
          });
        }),
    );
    expect(refused).toBe("EvalError");
    await page.close();
  });
});
