// Writes build/bindings/loop/hdrHistogram.js: the one class that we use of the package hdr-histogram-js, as a module. Part of
// the build, after tsc.
//
// The package is CommonJS and brings a compressor and a wasm module along, so a page without a bundler could not load it, and
// a bundle would take 95 kB of it. The class and what it needs are 19 kB, and no dependency of ours at run time.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../..", import.meta.url));
const license = await readFile(new URL("../../node_modules/hdr-histogram-js/LICENSE", import.meta.url), "utf8");

await build({
  stdin: {
    contents: 'export { default as Histogram } from "hdr-histogram-js/dist/Int32Histogram.js";',
    resolveDir: root,
  },
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  // With `/*!` bundlers take it for a licence and keep it (Vite, where it minifies, if `comments.legal` of its output is set): this
  // one asks to be kept in whatever the class is shipped with.
  banner: { js: `/*! hdr-histogram-js\n\n${license.trim()}\n*/` },
  outfile: `${root}build/bindings/loop/hdrHistogram.js`,
  logLevel: "warning",
});
