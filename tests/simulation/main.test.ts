import { spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { runScript } from "../support/runScript.js";

const run = (...words: string[]) => runScript(new URL("main.mjs", import.meta.url), words);

test("help tells every option and every exit status", () => {
  const { status, out, error } = run("--help");
  expect([status, error]).toEqual([0, ""]);
  for (const word of ["--seed", "--from", "--seeds", "--trace", "Exit status"]) expect(out).toContain(word);
});

test("a seed alone is played, and several are", () => {
  expect(run("--seed", "5")).toMatchObject({ status: 0, out: expect.stringMatching(/^1 from seed 5 on/) });
  expect(run("--from", "7", "--seeds", "3")).toMatchObject({
    status: 0,
    out: expect.stringMatching(/^3 from seed 7 on/),
  });
});

test("with a trace the first is played alone, whether it is named as the one or as the first", () => {
  const traced = run("--seed", "5", "--trace");
  expect(traced).toMatchObject({ status: 0, error: "", out: expect.stringMatching(/\n1 from seed 5 on/) });
  const trace = (out: string) => out.slice(0, out.indexOf("1 from seed"));
  expect(trace(traced.out).split("\n").length).toBeGreaterThan(20);
  expect(trace(run("--from", "5", "--trace").out)).toBe(trace(traced.out));
  expect(run("--trace")).toMatchObject({ status: 0, out: expect.stringMatching(/\n1 from seed 0 on/) });
});

test("it runs in a folder whose name means something else in a URL", () => {
  const folder = mkdtempSync(join(tmpdir(), "tidemark #1 %20?"));
  const project = fileURLToPath(new URL("../../", import.meta.url));
  for (const name of ["build", "node_modules", "package.json", "tests"])
    symlinkSync(join(project, name), join(folder, name));
  const words = [
    "--preserve-symlinks",
    "--preserve-symlinks-main",
    join(folder, "tests/simulation/main.mjs"),
    "--seed",
    "5",
  ];
  const { status, stderr } = spawnSync(process.execPath, words, { encoding: "utf8" });
  rmSync(folder, { recursive: true });
  expect([status, stderr]).toEqual([0, ""]);
});

test.skipIf(!existsSync("/dev/full"))("output that cannot be written is told of, with status 2", () => {
  const full = openSync("/dev/full", "w");
  const script = fileURLToPath(new URL("main.mjs", import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [script, "--seed", "5"], { stdio: ["ignore", full, "pipe"] });
  closeSync(full);
  expect([status, String(stderr)]).toEqual([2, expect.stringContaining("the output cannot be written")]);
});

test.each([
  [["--bogus"], /unknown option '--bogus'/],
  [["--seed", "-1"], /--seed.*whole number from 0/],
  [["--seed", String(2 ** 32)], /--seed.*whole number from 0 to 4294967295/], // it would be seed 0 once more
  [["--from", String(Number.MAX_SAFE_INTEGER)], /--from.*whole number from 0 to 4294967295/], // it would never end
  [["--seeds", "0"], /--seeds.*whole number from 1/],
  [["--seed", "5", "--seeds", "3"], /'--seed <number>' cannot be used with option '--seeds <count>'/],
  [["--trace", "--seeds", "3"], /'--trace' cannot be used with option '--seeds <count>'/],
  [["--seed", "5", "--from", "3"], /'--seed <number>' cannot be used with option '--from <number>'/],
])("%j is refused with a message and status 2", (words, message) => {
  const { status, out, error } = run(...words);
  expect(error).toMatch(message);
  expect(error).not.toMatch(/^\s+at /m);
  expect([status, out]).toEqual([2, ""]);
});
