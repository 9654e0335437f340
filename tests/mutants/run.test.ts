import { expect, test } from "vitest";
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
