import type { Runtime } from "tidemark";
import { expect } from "vitest";
import { Owner, PAGE } from "./runtimes.js";

/** Takes the lowest pages, untouched, so that the next allocation begins at `address`. */
export function fillUpTo(runtime: Runtime, address: number): void {
  const { exports } = runtime.$memory;
  for (;;) {
    const page = exports.allocatePages(1, Owner.SCRATCH) >>> 0;
    if (page + PAGE >= address) break;
    if (page + PAGE !== runtime.stats().usedBytes) continue;
    const rest = address / PAGE - page / PAGE - 1;
    expect(exports.allocatePages(rest, Owner.SCRATCH) >>> 0).toBe(page + PAGE);
    break;
  }
}
