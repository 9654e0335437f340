// Writes build/bindings/inlineModules.js: the compiled modules as text, for the entry "tidemark/inline". Part of the
// build, after asc and tsc.

import { readFile, writeFile } from "node:fs/promises";

const build = new URL("../build/", import.meta.url);

async function embed(name, file) {
  const bytes = await readFile(new URL(file, build));
  return `export const ${name} = "${bytes.toString("base64")}";\n`;
}

const modules = [await embed("release", "tidemark.wasm"), await embed("debug", "tidemark.debug.wasm")];
await writeFile(new URL("bindings/inlineModules.js", build), modules.join(""));
