import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const project = fileURLToPath(new URL("..", import.meta.url));
const readme = readFileSync(join(project, "README.md"), "utf8");

/** The fenced blocks of TypeScript, in their order. */
const blocks = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1]!);

/** Blocks that are AssemblyScript name the file that they are. */
const guest = blocks.find((block) => block.startsWith("// scratch.ts"))!;
const snippets = blocks.filter((block) => block !== guest);

/** What the comments behind `console.log(…);` say will be printed, where they say it. */
function promised(snippet: string): string[] {
  return [...snippet.matchAll(/console\.log\(.*\);? *\/\/ (.*)$/gm)].flatMap((match) => {
    const text = match[1]!.replace(/: the region ends.*$/, "");
    return text.split(/, then /);
  });
}

describe("the README", () => {
  let folder: string;

  beforeAll(() => {
    // Inside the project, so that `tidemark` is found by its own name and the compiler's types by theirs.
    mkdirSync(join(project, "build"), { recursive: true });
    folder = mkdtempSync(join(project, "build", "readme-"));
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(project, join(folder, "node_modules", "tidemark"));
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        extends: "../../tsconfig.base.json",
        compilerOptions: {
          rootDir: ".",
          outDir: "out",
          noUnusedLocals: false,
          types: ["node"],
          typeRoots: [join(project, "node_modules/@types")],
        },
        include: ["snippet*.ts"],
      }),
    );
    snippets.forEach((snippet, index) => {
      writeFileSync(join(folder, `snippet${index}.ts`), `${snippet}\nexport {};\n`);
    });
    writeFileSync(join(folder, "scratch.ts"), guest);
    const flags = /\/\/ npx asc scratch\.ts (.*)/.exec(guest)![1]!.split(" ");
    execFileSync(process.execPath, [join(project, "node_modules/assemblyscript/bin/asc.js"), "scratch.ts", ...flags], {
      cwd: folder,
      stdio: "pipe",
    });
    execFileSync(process.execPath, [join(project, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.json"], {
      cwd: folder,
      stdio: "pipe",
    });
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(snippets.map((snippet, index) => [index, snippet] as const))(
    "snippet %i compiles, runs, and prints what its comments say",
    (index, snippet) => {
      const output = execFileSync(
        process.execPath,
        ["--disable-warning=ExperimentalWarning", `out/snippet${index}.js`],
        { cwd: folder, encoding: "utf8" },
      );
      const lines = output.split("\n").filter((line) => line !== "");
      expect(lines).toEqual(promised(snippet));
    },
  );
});
