import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { type ModuleLoader, runtimeFactory } from "../../bindings/createRuntime.js";

const compile: ModuleLoader = async (debug) => {
  const url = new URL(`../../build/tidemark${debug ? ".debug" : ""}.wasm`, import.meta.url);
  return WebAssembly.compile(new Uint8Array(await readFile(url)));
};

test("each of the package's modules is found once, however many runtimes are made, at once or in turn", async () => {
  const asked: boolean[] = [];
  const createRuntime = runtimeFactory((debug) => {
    asked.push(debug);
    return compile(debug);
  });
  const runtimes = await Promise.all([{}, { debug: true }, { debug: false }].map((options) => createRuntime(options)));
  runtimes.push(await createRuntime(), await createRuntime({ debug: true }));
  expect(asked).toEqual([false, true]);
  expect(runtimes.map(({ debug }) => debug)).toEqual([false, true, false, false, true]);
  for (const runtime of runtimes) runtime.dispose();
});

test("a module that could not be found is looked for again", async () => {
  let asked = 0;
  const createRuntime = runtimeFactory(async (debug) => {
    if (++asked === 1) throw new Error("no network");
    return compile(debug);
  });
  await expect(createRuntime()).rejects.toMatchObject({ code: "ERR_TIDEMARK_INVALID_MODULE" });
  (await createRuntime()).dispose();
  expect(asked).toBe(2);
});
