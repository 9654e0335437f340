import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";
import { runScript } from "../support/runScript.js";

const run = (...words: string[]) => runScript(new URL("run.mjs", import.meta.url), words);

test("help tells every option and every exit status", () => {
  const { status, out, error } = run("--help");
  expect([status, error]).toEqual([0, ""]);
  for (const word of ["--only", "--jobs", "--minutes", "--verbose", "Exit status"]) expect(out).toContain(word);
});

test.each([
  [["--bogus"], /unknown option '--bogus'/],
  [["refcount.ts"], /too many arguments/],
  [["--only"], /--only.*missing/],
  [["--only", "no mutant has this"], /--only no mutant has this: there is no such mutant/],
  [["--jobs", "0"], /--jobs.*whole number from 1/],
  [["--jobs", "many"], /--jobs.*many/],
  [["--minutes", "-1"], /--minutes.*above 0/],
  [["--minutes", "soon"], /--minutes.*soon/],
])("%j is refused with a message and status 2", (words, message) => {
  const { status, out, error } = run(...words);
  expect(error).toMatch(message);
  expect(error).not.toMatch(/^\s+at /m);
  expect([status, out]).toEqual([2, ""]);
});

test("the text of each mutant occurs once in its file", async () => {
  const { mutants } = await import(new URL("mutants.mjs", import.meta.url).href);
  for (const { file, find } of mutants) {
    const text = readFileSync(new URL(`../../assembly/collectors/${file}`, import.meta.url), "utf8");
    expect([file, find, text.split(find).length - 1]).toEqual([file, find, 1]);
  }
});

test("interrupted, it leaves nothing behind", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-run-"));
  try {
    const script = fileURLToPath(new URL("run.mjs", import.meta.url));
    const child = spawn(process.execPath, [script, "--jobs", "1"], { env: { ...process.env, TMPDIR: folder } });
    await vi.waitFor(() => expect(readdirSync(folder)).toHaveLength(1), 30_000);
    child.kill("SIGINT");
    expect(await once(child, "exit")).toEqual([130, null]);
    expect(readdirSync(folder)).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
