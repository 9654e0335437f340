import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

let folder: string;
let consumer: string;
let packed: string[];

/** Packs the built package and installs it, from the tarballs alone and without a network, into an empty project. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tidemark-package-"));
  const own = pack(root);
  packed = own.files.map(({ path }) => path).sort();
  const loader = pack(join(root, "node_modules/@assemblyscript/loader"));
  consumer = join(folder, "consumer");
  mkdirSync(consumer);
  writeFileSync(join(consumer, "package.json"), JSON.stringify({ type: "module", private: true }));
  const tarballs = [own, loader].map(({ filename }) => join(folder, filename));
  run("npm", ["install", "--offline", "--no-audit", "--no-fund", ...tarballs], consumer);
});

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

function pack(from: string): Packed {
  const options = ["pack", "--ignore-scripts", "--json", "--pack-destination", folder];
  // A list in npm 10, an object by the packages' names in later ones.
  return Object.values(JSON.parse(run("npm", options, from)) as Record<string, Packed>)[0]!;
}

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(command: string, options: string[], cwd: string): string {
  try {
    return execFileSync(command, options, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${command} ${options.join(" ")} failed:\n${stdout}\n${stderr}`);
  }
}

/** Runs a module in the consumer's project, by plain Node; gives what it logs, as JSON. */
function runModule(name: string, text: string): unknown {
  writeFileSync(join(consumer, name), text);
  return JSON.parse(run(process.execPath, [name], consumer));
}

describe("the package", () => {
  test("leaves the licence of what it contains of others in an application's minified bundle", async () => {
    const { outputFiles } = await build({
      stdin: { contents: 'export { createLoop } from "tidemark/inline";', resolveDir: consumer },
      bundle: true,
      minify: true,
      format: "esm",
      write: false,
    });
    expect(outputFiles[0]!.text).toMatch(/hdr-histogram-js\s+BSD 2-Clause License\s+Copyright/);
  });

  test("contains its texts, types, modules and AssemblyScript source, and nothing else", () => {
    const allowed = [
      /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|CONTRIBUTING\.md)$/,
      /^assembly\/([\w.]+\/)*[\w.]+\.(ts|json)$/,
      /^build\/tidemark(\.debug)?\.wasm$/,
      /^build\/bindings\/([\w.-]+\/)*[\w.-]+\.(js|js\.map|d\.ts)$/,
    ];
    expect(packed.filter((path) => !allowed.some((pattern) => pattern.test(path)))).toEqual([]);
    const needed = [
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "assembly/index.ts",
      "build/bindings/index.d.ts",
      "build/bindings/index.inline.js",
      "build/bindings/index.js",
      "build/bindings/index.node.js",
      "build/bindings/inlineModules.js",
      "build/bindings/loop/hdrHistogram.js",
      "build/bindings/loop/watchdogWorker.js",
      "build/bindings/loop/watchdogWorker.node.js",
      "build/tidemark.debug.wasm",
      "build/tidemark.wasm",
      "package.json",
    ];
    expect(needed.filter((path) => !packed.includes(path))).toEqual([]);
  });

  test("contains all of the AssemblyScript source, which guest modules are compiled with", () => {
    const sources = readdirSync(join(root, "assembly"), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts"))
      .map((path) => `assembly/${path.split(sep).join("/")}`);
    expect(packed).toEqual(expect.arrayContaining(sources));
  });

  test("has types for every module, and no leftovers of sources that are gone (or else: remove build/)", () => {
    for (const path of packed.filter((path) => path.startsWith("build/bindings/") && path.endsWith(".js"))) {
      if (/\/(inlineModules|hdrHistogram)\.js$/.test(path)) continue; // made by the build
      expect(packed).toContain(path.replace(/\.js$/, ".d.ts"));
      const source = path.replace("build/bindings/", "bindings/").replace(/\.js$/, ".ts");
      expect(existsSync(join(root, source)), `${path} has no source`).toBe(true);
    }
  });

  test("leads bundlers that look for no exports, as Parcel does, to the browsers' entry", () => {
    const { main, exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    expect(main).toBe(exports["."].default);
  });

  test("leads nowhere with its exports that is not in it", () => {
    const { exports, dependencies, scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const targets = (value: unknown): string[] =>
      typeof value === "string" ? [value] : Object.values(value as object).flatMap(targets);
    for (const path of targets(exports)) expect(packed).toContain(path.replace("./", ""));
    expect(Object.keys(dependencies)).toEqual(["@assemblyscript/loader"]);
    for (const hook of ["preinstall", "install", "postinstall", "prepare"]) expect(scripts).not.toHaveProperty(hook);
  });
});

const program = (entry: string) => `
import { createLoop, createRuntime, f64, struct } from "${entry}";
const Level = struct("Level", { price: f64, quantity: f64 });
const result = [];
for (const debug of [false, true]) {
  const runtime = await createRuntime({ debug });
  const bids = runtime.sortedMap(f64, f64, { order: "descending" });
  const loop = createLoop(runtime);
  const depth = loop.on("depth", (prices, { region }) => {
    const levels = region.array(Level);
    for (const price of prices) levels.push({ price, quantity: price * 2 });
    for (const level of levels) bids.set(level.price, level.quantity);
  });
  depth.post([3, 1, 2]);
  await loop.runUntilIdle();
  await loop.close();
  const best = bids.first();
  result.push([debug === runtime.debug, best.key, best.value]);
  runtime.dispose();
}
console.log(JSON.stringify(result));
`;

describe("installed in another project, without any build,", () => {
  test.each(["tidemark", "tidemark/inline"])("%s runs a loop in plain Node", (entry) => {
    expect(runModule("program.js", program(entry))).toEqual([
      [true, 3, 6],
      [true, 3, 6],
    ]);
  });

  test("both entries have the same names, and share the same classes", () => {
    const same = runModule(
      "names.js",
      `import * as entry from "tidemark";
       import * as inline from "tidemark/inline";
       const same = Object.keys(entry).filter((name) => name !== "createRuntime").every((name) => entry[name] === inline[name]);
       console.log(JSON.stringify([Object.keys(entry).join() === Object.keys(inline).join(), same]));`,
    );
    expect(same).toEqual([true, true]);
  });

  test("the modules themselves can be found and given to createRuntime", () => {
    const used = runModule(
      "wasm.js",
      `import { readFile } from "node:fs/promises";
       import { createRuntime } from "tidemark";
       const wasm = await readFile(new URL(import.meta.resolve("tidemark/tidemark.debug.wasm")));
       const runtime = await createRuntime({ wasm });
       console.log(JSON.stringify(runtime.debug));`,
    );
    expect(used).toBe(true);
  });

  test.each(["node", "browser"] as const)(
    "a CommonJS bundle for %s, in which the module's file cannot be found, is told of the entry that needs none",
    async (platform) => {
      await build({
        stdin: {
          contents: `import { createRuntime } from "tidemark";
            createRuntime().catch(({ code, message }) => console.log(JSON.stringify([code, message])));`,
          resolveDir: consumer,
        },
        bundle: true,
        format: "cjs",
        platform,
        outfile: join(consumer, "bundle.cjs"),
        logLevel: "silent",
      });
      const told = JSON.parse(run(process.execPath, ["bundle.cjs"], consumer));
      expect(told).toEqual(["ERR_TIDEMARK_INVALID_MODULE", expect.stringContaining("use the entry tidemark/inline")]);
    },
  );

  test("a module that is missing is a typed error, and is found once it is there", () => {
    const path = join(consumer, "node_modules/tidemark/build/tidemark.wasm");
    const bytes = readFileSync(path);
    rmSync(path);
    writeFileSync(join(consumer, "absent.wasm"), bytes);
    try {
      const codes = runModule(
        "missing.js",
        `import { copyFile } from "node:fs/promises";
         import { createRuntime } from "tidemark";
         const create = () => createRuntime().then((runtime) => runtime.debug, (error) => error.code);
         const codes = [await create(), await create()];
         await copyFile("absent.wasm", ${JSON.stringify(path)});
         codes.push(await create());
         console.log(JSON.stringify(codes));`,
      );
      expect(codes).toEqual(["ERR_TIDEMARK_INVALID_MODULE", "ERR_TIDEMARK_INVALID_MODULE", false]);
    } finally {
      writeFileSync(path, bytes);
    }
  });

  test.each([
    ["NodeNext", { module: "NodeNext", moduleResolution: "NodeNext" }],
    ["bundler", { module: "ESNext", moduleResolution: "bundler" }],
  ])("a strict TypeScript program compiles against its types, with %s resolution", (name, resolution) => {
    const config = (options: object) => ({
      compilerOptions: {
        target: "ES2022",
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        noEmit: true,
        types: [],
        ...resolution,
        ...options,
      },
      files: ["program.ts", "library.ts"],
    });
    writeFileSync(join(consumer, "program.ts"), TYPED_PROGRAM);
    writeFileSync(join(consumer, "library.ts"), TYPED_LIBRARY);
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    const emit = { noEmit: false, declaration: true, emitDeclarationOnly: true, outDir: `types.${name}` };
    const configs = {
      library: config({ lib: ["ES2023", "ESNext.Disposable", "DOM"], skipLibCheck: false, ...emit }),
      checked: config({ lib: ["ES2023", "ESNext.Disposable", "DOM"], skipLibCheck: false }),
      usual: config({ lib: ["ES2022", "DOM"], skipLibCheck: true }),
    };
    for (const [kind, content] of Object.entries(configs)) {
      const file = `tsconfig.${name}.${kind}.json`;
      writeFileSync(join(consumer, file), JSON.stringify(content));
      run(process.execPath, [tsc, "-p", file], consumer);
    }
  });
});

const TYPED_PROGRAM = `
import { createLoop, createRuntime, f64, struct, text, ref, TidemarkError, type CursorOf, type SequenceOf } from "tidemark";
import { createRuntime as createInline } from "tidemark/inline";

const Level = struct("Level", { price: f64, quantity: f64, note: text(8), next: ref("Level") });
type Levels = SequenceOf<typeof Level>;
type LevelCursor = CursorOf<typeof Level.fields>;

function decode(message: Uint8Array, levels: Levels): Levels {
  for (const byte of message) levels.push({ price: byte });
  return levels;
}

export async function main(inline: boolean): Promise<number | undefined> {
  const runtime = await (inline ? createInline : createRuntime)({ maximumBytes: 64 << 20 });
  const bids = runtime.sortedMap(f64, f64, { order: "descending" });
  const loop = createLoop(runtime, { queue: { capacity: 4096, overflow: 65536, policy: "reject" } });
  const depth = loop.on("depth", (message: Uint8Array, { region }) => {
    for (const level of decode(message, region.array(Level))) bids.set(level.price, level.quantity);
  });
  depth.post(new Uint8Array(3));
  // @ts-expect-error: bytes are wanted
  depth.post("text");
  await loop.runUntilIdle();
  const level: LevelCursor = runtime.arena().new(Level);
  const note: string = level.note;
  const next: LevelCursor | null = level.next;
  // @ts-expect-error: no such field
  level.prise = next === null ? note.length : 0;
  try {
    level.assign({ price: 1 });
  } catch (error) {
    if (error instanceof TidemarkError) return error.code.length;
  }
  return bids.first()?.key;
}
`;

/** Exports what it makes of Tidemark's types without naming them, as libraries do. */
const TYPED_LIBRARY = `
import {
  type Arena, array, Channel, createLoop, createRuntime, f64, Mutex, type Region, ref, select, type SourceOptions, struct, text, u64,
} from "tidemark";
export const Level = struct("Level", { price: f64, quantity: u64, note: text(4) });
export const Node = struct("Node", { next: ref("Node"), levels: array(Level, 2), many: array(ref("Node"), 2) });
export const runtime = await createRuntime();
export const cursor = runtime.cursor(Node);
export const plain = () => cursor.toObject();
export const assign = (values: Parameters<typeof cursor.assign>[0]) => cursor.assign(values);
export const view = cursor.levels;
export const refs = runtime.array(ref(Level));
export const map = runtime.sortedMap(f64, Level);
export const first = () => map.first();
export const loop = createLoop(runtime);
export const kind = loop.on("kind", (payload: number, context) => [payload, context]);
export const stats = () => [runtime.stats(), loop.stats(), map.stats(), runtime.arena().stats()] as const;
export const arena = runtime.arena();
export const mark = () => arena.mark();
export const contains = arena.contains;
export const pool = runtime.pool(Node);
export const { new: make, free } = pool;
export const { follow, moveTo, ref: refOf } = cursor;
export const { get, set, entries } = map;
export const heap = runtime.heap("refcount", { types: [Node, Level, array(f64)] });
export const { new: makeObject, free: freeObject, array: makeArray } = heap;
export const place = (space: Arena | Region) => [space, space.array, space.new, space.bytes] as const;
export const { after, every } = loop;
export const operations = [new Channel<number>(1).receive(), new Mutex().lock()] as const;
export const selected = () => select(operations);
export const { kind: fieldKind } = f64;
export const loopOf = (...[runtime]: Parameters<typeof createLoop>) => runtime;
export const stopOf = ({ onStop }: SourceOptions) => onStop;
`;
