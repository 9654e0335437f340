import { createRuntime } from "tidemark";
import { beforeAll, describe, expect, test } from "vitest";
import { Workbench } from "../../bench/drivers/workbench.js";
import { parseTrace } from "../../bench/traces/trace.js";
import { TraceReplay } from "../../bench/traces/traceReplay.js";
import { compileGuest } from "../support/guest.js";

/**
 * Strategies with a flaw each, over one run of 64 pages: what an allocator must not do, and the integrity pass must see.
 */
const SOURCE = `
import { allocatePages, Owner } from "./assembly/memory/pageHeap";
import { checkReplay } from "./bench/assembly/drivers/integrity";
import { Replay } from "./bench/assembly/drivers/replay";

@unmanaged
class Flawed {
  cursor: usize;
  last: usize;
  flaw: u32;

  /** Flaw 1: each block begins in the last 8 bytes of the one before. Flaw 4: the fourth block is the third again. */
  allocate(size: u32): usize {
    if (this.flaw == 3) return this.cursor + 4;
    this.last++;
    if (this.flaw == 4 && this.last == 4) return this.cursor - 64;
    if (this.flaw == 5 && this.last == 4) unreachable();
    const address = this.cursor;
    this.cursor += this.flaw == 1 ? ((size + 7) & ~7) - 8 : 64;
    return address;
  }
  free(address: usize, size: u32): u32 {
    // Flaw 6: a freed block's neighbour is written to.
    if (this.flaw == 6) store<u8>(address + 64 + 5, load<u8>(address + 64 + 5) ^ 1);
    return this.flaw != 7;
  }
  reallocate(address: usize, oldSize: u32, newSize: u32): usize {
    const moved = this.allocate(newSize);
    // Flaw 2: the last byte is not copied.
    memory.copy(moved, address, min(oldSize, newSize) - (this.flaw == 2 ? 1 : 0));
    return moved;
  }
  taken(): u32 { return 64 << 16; }
  reset(): void {}
}

export function flawedCreate(place: usize): usize {
  const flawed = changetype<Flawed>(place);
  flawed.cursor = allocatePages(64, Owner.SCRATCH);
  return place;
}
export function flawedCheckReplay(flawed: Flawed, record: Replay): u32 {
  return checkReplay<Flawed>(flawed, record);
}
export function setFlaw(strategy: usize, flaw: u32): void { changetype<Flawed>(strategy).flaw = flaw; }
`;

const LINES = ["a 0 24", "a 1 40", "r 0 50", "a 2 16", "a 3 60", "f 0", "f 3"];
const TRACE = parseTrace("x", ["1", "4", `${LINES.length}`, "0", ...LINES, ""].join("\n"));

let guest: Uint8Array;
beforeAll(async () => {
  guest = await compileGuest(SOURCE, false);
});

async function check(flaw: number, fills = true) {
  using runtime = await createRuntime();
  const drivers = await runtime.instantiate<Record<string, (...parameters: number[]) => number>>(guest, {
    clock: { now: () => 0 },
  });
  const scratch = runtime.arena();
  let strategy = 0;
  const flawed = {
    ...drivers,
    flawedCreate(place: number) {
      strategy = drivers.flawedCreate!(place);
      drivers.setFlaw!(strategy, flaw);
      return strategy;
    },
  };
  const workbench = new Workbench(
    "flawed",
    runtime.memory,
    flawed,
    (bytes) => scratch.allocate(bytes),
    () => {},
  );
  return new TraceReplay(workbench, TRACE, 1).check(fills);
}

describe("the integrity pass", () => {
  test("finds nothing in a strategy without a flaw, and tells what was live and taken", async () => {
    expect(await check(0)).toMatchObject({
      fault: "none",
      at: LINES.length,
      live: 40 + 16,
      peakLive: 50 + 40 + 16 + 60,
      taken: 64 << 16,
      peakTaken: 64 << 16,
    });
  });

  test.each([
    ["blocks that overlap", 1, { fault: "changed", at: 2, id: 0, position: 16 }],
    ["a byte that a reallocation has lost", 2, { fault: "changed", at: 2, id: 0, position: 23 }],
    ["an address that is no multiple of 8", 3, { fault: "misaligned", at: 0, id: 0 }],
    ["a live block that is handed out again", 4, { fault: "changed", at: 5, id: 0, position: 0 }],
    ["a trap", 5, { fault: "trap", at: 3 }],
    ["a byte of another block that a free has changed", 6, { fault: "changed", at: 7, id: 2, position: 5 }],
    ["a free that is refused", 7, { fault: "refused", at: 5, id: 0 }],
  ])("finds %s", async (_, flaw, expected) => {
    expect(await check(flaw)).toMatchObject(expected);
  });

  test("looks at no block where it is not to fill them", async () => {
    expect(await check(1, false)).toMatchObject({ fault: "none", at: LINES.length });
  });
});
