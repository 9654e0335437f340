import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const folder = fileURLToPath(new URL("../../assembly/collectors/", import.meta.url));

const NO_FUNCTIONS = new Set(["if", "for", "while", "switch", "return", "catch", "constructor", "function"]);

/** The text without comments and strings, which may hold words that look like calls. */
function bare(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/\/\/.*$/gm, "")
    .replace(/"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`/g, '""');
}

/** Where the bracket that opens at `from` closes. */
function closing(text: string, from: number): number {
  const [open, close] = text[from] === "{" ? ["{", "}"] : ["(", ")"];
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text[at] === open) depth++;
    else if (text[at] === close && --depth === 0) return at;
  }
  return text.length;
}

/**
 * Which functions and methods call which, by their names: `name` for a function, `Class.name` for a method. A call through
 * an object of which no class is told may be to any that has such a member; accessors are called without brackets.
 */
function callGraph(sources: readonly string[]): Map<string, Set<string>> {
  const accessors = new Set<string>();
  const bases = new Map<string, string | undefined>();
  const fields = new Map<string, Set<string>>();
  const bodies: {
    readonly name: string;
    readonly owner: string | undefined;
    readonly parameters: string;
    readonly body: string;
  }[] = [];
  for (const source of sources) {
    const text = bare(source);
    const classes: { readonly name: string; readonly from: number; readonly to: number }[] = [];
    for (const match of text.matchAll(/\bclass\s+(\w+)(?:\s+extends\s+(\w+))?[^{]*\{/g)) {
      const from = match.index + match[0].length - 1;
      classes.push({ name: match[1]!, from, to: closing(text, from) });
      bases.set(match[1]!, match[2]);
    }
    for (const [, field, type] of text.matchAll(/^\s+(\w+): (\w+);$/gm)) {
      fields.set(field!, (fields.get(field!) ?? new Set()).add(type!));
    }
    const declaration = /(?:\b(?:function|get|set)\s+|(?<![.\w]))(\w+)\s*(?:<[^>()]*>)?\(/g;
    for (const match of text.matchAll(declaration)) {
      const name = match[1]!;
      if (NO_FUNCTIONS.has(name)) continue;
      const end = closing(text, match.index + match[0].length - 1);
      const signature = /^\s*(?::[^;{}()=]*)?\{/.exec(text.slice(end + 1));
      if (signature === null) continue;
      const from = end + signature[0].length;
      const owner = classes.find((each) => each.from < match.index && match.index < each.to)?.name;
      if (owner === undefined && !match[0].startsWith("function")) continue;
      if (/^[gs]et\s/.test(match[0])) accessors.add(`${owner}.${name}`);
      bodies.push({
        name: owner === undefined ? name : `${owner}.${name}`,
        owner,
        parameters: text.slice(match.index, end),
        body: text.slice(from, closing(text, from)),
      });
    }
  }
  const names = new Set(bodies.map(({ name }) => name));
  const members = (name: string, isCall: boolean) =>
    [...names].filter((each) => each.endsWith(`.${name}`) && accessors.has(each) !== isCall);
  /** The member of a class, or of one that it extends. */
  const memberOf = (type: string | undefined, name: string): string | undefined => {
    for (let each = type; each !== undefined; each = bases.get(each))
      if (names.has(`${each}.${name}`)) return `${each}.${name}`;
    return undefined;
  };
  /** The class of a name in a function, if it is told there, or by the only field of that name. */
  const typeOf = (name: string, parameters: string, body: string): string | undefined => {
    const told = new RegExp(`\\b${name}\\s*(?::\\s*(\\w+)|=\\s*changetype<(\\w+)>)`).exec(`${parameters}\n${body}`);
    const known = fields.get(name);
    return told?.[1] ?? told?.[2] ?? (known?.size === 1 ? [...known][0] : undefined);
  };
  const calls = new Map<string, Set<string>>();
  for (const { name, owner, parameters, body } of bodies) {
    const callees = calls.get(name) ?? new Set();
    calls.set(name, callees);
    for (const [, before, callee, bracket] of body.matchAll(/(?<=(\w*)\s*)\.\s*(\w+)\b\s*(?:<[\w\s,.<>]*>)?(\()?/g)) {
      const found = members(callee!, bracket !== undefined);
      const type = before === "this" ? owner : before ? typeOf(before, parameters, body) : undefined;
      const known = memberOf(type, callee!);
      for (const each of known !== undefined && found.includes(known) ? [known] : found) callees.add(each);
    }
    for (const [, callee] of body.matchAll(/(?<![.\w])(\w+)\s*(?:<[\w\s,.<>]*>)?\(/g)) {
      if (names.has(callee!)) callees.add(callee!);
    }
  }
  return calls;
}

/** The functions that reach themselves, each with a way to do so. */
function recursions(calls: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const found: string[] = [];
  for (const start of calls.keys()) {
    const from = new Map<string, string>();
    const waiting = [start];
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      for (const callee of calls.get(name) ?? []) {
        if (from.has(callee)) continue;
        from.set(callee, name);
        waiting.push(callee);
      }
    }
    if (!from.has(start)) continue;
    const way = [start];
    for (let name = from.get(start)!; name !== start; name = from.get(name)!) way.unshift(name);
    found.push([start, ...way].join(" → "));
  }
  return found;
}

describe("the check for recursion", () => {
  test("finds functions that call themselves, and each other", () => {
    const calls = callGraph([
      "function direct(count: u32): u32 { return count ? direct(count - 1) : 0; }",
      "export function one(): void { if (x) two(); } // three()",
      "function two(): u32 { while (other()) { return one(); } } function other(): bool { return false; }",
    ]);
    expect(recursions(calls)).toEqual(["direct → direct", "one → two → one", "two → one → two"]);
  });

  test("finds what calls itself through another object, and tells classes apart by what is declared", () => {
    const calls = callGraph([
      `class Cell { next: Cell; walk(): void { this.next.walk(); } free(): void {} }
       class Heap { take(type: Cell): void { type.free(); } free(): void { this.take(x); } other(): void { y.other(); } }`,
    ]);
    expect(recursions(calls)).toEqual(["Cell.walk → Cell.walk", "Heap.other → Heap.other"]);
  });

  test("finds methods and accessors, generic ones too, and tells classes apart by `this`", () => {
    const calls = callGraph([
      `class Walk { step(): void { this.next; } get next(): u32 { helper<Walk>(this); return 0; } }
       class Other { step(): void { this.rest(); } rest(): void { plain(); } }
       function helper<T>(walk: T): void { walk.step(); } function plain(): void {}`,
    ]);
    expect(recursions(calls).map((way) => way.split(" ")[0])).toEqual(["Walk.step", "Walk.next", "helper"]);
    expect([...calls.get("Other.step")!]).toEqual(["Other.rest"]);
  });
});

test("nothing in assembly/collectors is recursive", () => {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));
  const calls = callGraph(files.map((path) => readFileSync(folder + path, "utf8")));
  expect(calls.size).toBeGreaterThan(50);
  expect(recursions(calls)).toEqual([]);
});
