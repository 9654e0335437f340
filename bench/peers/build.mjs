/**
 * Builds the peer allocators with the drivers of `bench/assembly/drivers/`: AssemblyScript's TLSF, always, and wasi-libc's
 * dlmalloc, where clang and wasi-libc are installed. What is newer than its sources is left as it is.
 */

import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { optimize } from "../../bindings/optimize.build.mjs";

const require = createRequire(import.meta.url);
const inProject = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** Room below the peers' heaps for tables, operations and samples; memory that nobody touches costs nothing. */
const SCRATCH_BYTES = 512 << 20;
const PAGE_BYTES = 65_536;

/** The sources that a peer's module is made of, without its own. */
const DRIVERS = readdirSync(inProject("bench/assembly/drivers")).map((name) => `bench/assembly/drivers/${name}`);

/** True if `output` is there and no source has been changed since it was made. */
function isCurrent(output, sources) {
  const made = statSync(output, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return sources.every((source) => statSync(inProject(source)).mtimeMs < made);
}

/**
 * AssemblyScript's TLSF as it is, but for two things. It doubles its memory when it grows, and what lies below its heap
 * must not be doubled with it. And it is a file of ours rather than of the library, so it exports plain functions.
 */
function tlsfSource() {
  const replacements = [
    ['from "./', 'from "rt/'],
    ['from "../util/', 'from "util/'],
    ["max(pagesBefore, pagesNeeded)", `max(pagesBefore - ${SCRATCH_BYTES / PAGE_BYTES}, pagesNeeded)`],
    ["@global @unsafe\n", "\n"],
  ];
  const path = require.resolve("assemblyscript/std/assembly/rt/tlsf.ts");
  return replacements.reduce(
    (text, [from, to]) => {
      if (!text.includes(from)) throw new Error(`${path} has changed: it does not have ${JSON.stringify(from)}`);
      return text.replaceAll(from, to);
    },
    readFileSync(path, "utf8"),
  );
}

async function buildTlsf() {
  const output = inProject("build/tlsfDrivers.wasm");
  if (isCurrent(output, [...DRIVERS, "bench/assembly/tlsf.ts", "bench/peers/build.mjs"])) return;
  const { error, stderr } = await asc.main(
    [
      "bench/assembly/tlsf.ts",
      "--outFile=build/tlsfDrivers.wasm",
      "--runtime=stub",
      "--maximumMemory=65535",
      `--memoryBase=${SCRATCH_BYTES}`,
      "--enable=simd",
      "--use=abort=",
      "-O3",
      "--noAssert",
    ],
    {
      readFile(name) {
        if (name === "bench/assembly/tlsfSource.ts") return tlsfSource();
        if (name.endsWith("asconfig.json")) return null; // the project's modules import their memory
        try {
          return readFileSync(inProject(name), "utf8");
        } catch {
          return null;
        }
      },
      writeFile: (_name, contents) => writeFileSync(output, contents),
      listFiles: () => [],
    },
  );
  if (error !== null) throw new Error(`bench/assembly/tlsf.ts does not compile: ${stderr.toString()}`);
}

/**
 * The path without npm's folders: clang runs a `wasm-opt` that it finds there, and the compiler's own does not know which
 * features clang has used. It is run afterwards, with the features named.
 */
function pathOutside() {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.filter((folder) => !folder.includes("node_modules")).join(delimiter);
}

function buildDlmalloc() {
  const output = inProject("build/dlmalloc.wasm");
  if (isCurrent(output, ["bench/peers/dlmalloc.c", "bench/peers/build.mjs", "bindings/optimize.build.mjs"])) return;
  rmSync(output, { force: true });
  try {
    execFileSync(
      "clang",
      [
        "--target=wasm32-wasi",
        "-O3",
        "-flto",
        "-msimd128",
        "-mbulk-memory",
        "-Wall",
        `-DSCRATCH_BYTES=${SCRATCH_BYTES}u`,
        "-nostartfiles",
        "-Wl,--no-entry,--strip-all",
        "-Wl,--max-memory=4294901760",
        "-o",
        output,
        inProject("bench/peers/dlmalloc.c"),
      ],
      { stdio: ["ignore", "inherit", "pipe"], encoding: "utf8", env: { ...process.env, PATH: pathOutside() } },
    );
  } catch (error) {
    const reason = error.code === "ENOENT" ? "there is no clang" : error.stderr.trim();
    console.warn(
      `\n*** THE PEER dlmalloc IS LEFT OUT of benchmarks and replays: ${reason}. ***\n` +
        "*** On Debian: apt-get install clang lld wasi-libc libclang-rt-dev-wasm32 ***\n",
    );
    return;
  }
  try {
    optimize(output); // 6 % faster
  } catch (error) {
    rmSync(output); // or it would be taken for what it should be
    throw error;
  }
}

mkdirSync(inProject("build"), { recursive: true });
await buildTlsf();
buildDlmalloc();
