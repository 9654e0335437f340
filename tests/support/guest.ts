import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const project = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Compiles AssemblyScript that imports from `./assembly/…` into a guest module, as users do, so that tests can call what
 * the package's own module does not export.
 */
export async function compileGuest(source: string, debug: boolean): Promise<Uint8Array> {
  let binary: Uint8Array | undefined;
  const { error, stderr } = await asc.main(
    [
      "guest.ts",
      "--outFile=guest.wasm",
      "--runtime=stub",
      "--importMemory",
      "--maximumMemory=65535",
      "--memoryBase=4096",
      "--enable=simd",
      "-O2",
      `--use=DEBUG=${debug ? 1 : 0}`,
    ],
    {
      readFile(name, base) {
        if (name === "guest.ts") return source;
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
