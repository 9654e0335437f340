import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

// Each step may import from its own and from those before it; a name with a dot is a file, another a folder.
const BINDINGS = [
  ["errors.ts", "arguments.ts", "platform.ts"],
  ["memory"],
  ["layout"],
  ["allocators"],
  ["collectors"],
  ["collections"],
  ["runtime.ts", "createRuntime.ts"],
  ["loop"],
  ["public.ts"],
  ["index.ts", "index.node.ts", "index.inline.ts", "inlineModules.d.ts"],
];
const ASSEMBLY = [["memory"], ["allocators"], ["collectors"], ["collections"], ["loop"], ["index.ts"]];

/** The TypeScript files below `folder`, relative to it. */
function sourcesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => path.split(sep).join("/"))
    .sort();
}

interface Import {
  readonly from: string;
  /** True if nothing of it is left at run time. */
  readonly typeOnly: boolean;
}

/** What a file imports and re-exports, statically or dynamically. */
function importsOf(path: string): Import[] {
  const text = readFileSync(join(root, path), "utf8").replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  const found: Import[] = [];
  for (const [, clause, from] of text.matchAll(/\b(?:import|export)\b([^;"']*?)\bfrom\s*["']([^"']+)["']/g)) {
    const names = clause!
      .match(/\{([^}]*)\}/)?.[1]
      ?.split(",")
      .filter((name) => name.trim() !== "");
    const typeOnly = /^\s*type\b/.test(clause!) || (names?.every((name) => /^\s*type\b/.test(name)) ?? false);
    found.push({ from: from!, typeOnly });
  }
  for (const [, from] of text.matchAll(/\bimport\s*\(?\s*["']([^"']+)["']/g))
    found.push({ from: from!, typeOnly: false });
  return found;
}

/** The file in `folder` that a relative import in `path` leads to. */
function target(folder: string, path: string, from: string): string {
  const absolute = resolve(root, folder, dirname(path), from.replace(/\.js$/, "").concat(".ts"));
  return relative(join(root, folder), absolute).split(sep).join("/");
}

function stepOf(order: readonly (readonly string[])[], path: string): number {
  const first = path.split("/")[0]!;
  return order.findIndex((names) => names.includes(first));
}

describe.each([
  ["bindings", BINDINGS],
  ["assembly", ASSEMBLY],
] as const)("in %s", (folder, order) => {
  const files = sourcesIn(folder);

  test("every file belongs to a step of the order", () => {
    expect(files.length).toBeGreaterThan(5);
    expect(files.filter((path) => stepOf(order, path) < 0)).toEqual([]);
  });

  test("a file imports only from its own folder and from those before it", () => {
    const wrong: string[] = [];
    let seen = 0;
    for (const path of files) {
      for (const { from } of importsOf(`${folder}/${path}`)) {
        if (!from.startsWith(".")) continue;
        seen++;
        const other = stepOf(order, target(folder, path, from).replace("inlineModules.ts", "inlineModules.d.ts"));
        if (other < 0 || other > stepOf(order, path)) wrong.push(`${path} imports ${from}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(seen).toBeGreaterThan(10);
  });

  test("no file reaches itself through what it imports at run time", () => {
    const edges = new Map(
      files.map((path) => [
        path,
        importsOf(`${folder}/${path}`)
          .filter(({ from, typeOnly }) => from.startsWith(".") && !typeOnly)
          .map(({ from }) => target(folder, path, from)),
      ]),
    );
    const cycles: string[] = [];
    const done = new Set<string>();
    const visit = (path: string, above: readonly string[]): void => {
      if (above.includes(path)) cycles.push([...above.slice(above.indexOf(path)), path].join(" → "));
      if (done.has(path) || above.includes(path)) return;
      for (const next of edges.get(path) ?? []) visit(next, [...above, path]);
      done.add(path);
    };
    for (const path of files) visit(path, []);
    // AssemblyScript resolves a program as a whole, so there the order of evaluation is no concern.
    if (folder === "bindings") expect(cycles).toEqual([]);
  });
});

describe("the published code", () => {
  test("depends on nothing but the loader, and on Node in its own files only", () => {
    const outside = sourcesIn("bindings").flatMap((path) =>
      importsOf(`bindings/${path}`)
        .filter(({ from }) => !from.startsWith("."))
        .map(({ from }) => `${path}: ${from}`),
    );
    expect(outside.sort()).toEqual([
      "index.node.ts: node:fs/promises",
      "loop/platform.node.ts: node:diagnostics_channel",
      "loop/platform.node.ts: node:worker_threads",
      "loop/watchdogWorker.node.ts: node:fs",
      "loop/watchdogWorker.node.ts: node:worker_threads",
      "memory/instantiate.ts: @assemblyscript/loader",
    ]);
  });

  test("makes no function from text, and no Proxy", () => {
    const found = sourcesIn("bindings").filter((path) => {
      const text = readFileSync(join(root, "bindings", path), "utf8");
      return /\beval\s*\(|\bnew Function\b|\bnew Proxy\b/.test(text);
    });
    expect(found).toEqual([]);
  });
});

describe("the benchmarks", () => {
  test("know the package by its public face only", () => {
    const wrong: string[] = [];
    let publicImports = 0;
    for (const path of sourcesIn("bench").filter((path) => !path.startsWith("assembly/"))) {
      for (const { from } of importsOf(`bench/${path}`)) {
        if (from === "tidemark") publicImports++;
        if (from.startsWith("tidemark/") || (from.startsWith(".") && target("bench", path, from).startsWith(".."))) {
          wrong.push(`${path} imports ${from}`);
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(publicImports).toBeGreaterThan(0);
  });
});
