import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const project = fileURLToPath(new URL("../..", import.meta.url));

/** What has been compiled: a compilation takes seconds, and many tests are made for both modules. */
const compiled = new Map<string, Promise<Uint8Array>>();

/**
 * Compiles AssemblyScript that imports from `./assembly/…` into a guest module, as users do, so that tests can call what
 * the package's own module does not export.
 *
 * @param memoryBase where its static data begins; by default where guests' data belongs
 */
export async function compileGuest(source: string, debug: boolean, memoryBase = 4096): Promise<Uint8Array> {
  const isDebug = debug && source.includes("./assembly/"); // of itself a guest is the same for both
  const key = JSON.stringify([source, isDebug, memoryBase]);
  if (!compiled.has(key)) compiled.set(key, compile(source, isDebug, memoryBase));
  return new Uint8Array(await compiled.get(key)!); // a copy of the caller's own
}

async function compile(source: string, debug: boolean, memoryBase: number): Promise<Uint8Array> {
  let binary: Uint8Array | undefined;
  const { error, stderr } = await asc.main(
    [
      "guest.ts",
      "--outFile=guest.wasm",
      "--runtime=stub",
      "--importMemory",
      "--maximumMemory=65535",
      `--memoryBase=${memoryBase}`,
      "--enable=simd",
      "-O2",
      `--use=DEBUG=${debug ? 1 : 0}`,
    ],
    {
      readFile(name, base) {
        if (name === "guest.ts") return source;
        if (name.endsWith("asconfig.json")) return null; // the project's own says which DEBUG, and would win
        try {
          return readFileSync(resolve(project, base, name), "utf8");
        } catch {
          return null;
        }
      },
      writeFile(name, contents) {
        if (name === "guest.wasm") binary = contents as Uint8Array;
      },
      listFiles: () => [],
    },
  );
  if (error !== null || binary === undefined) throw new Error(`the guest does not compile: ${stderr.toString()}`);
  return binary;
}
