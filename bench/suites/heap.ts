/** Allocating and freeing inside wasm: Tidemark's allocators beside those that a wasm program would take otherwise. */

import type { Replacement } from "../drivers/replace.js";
import { defineSuite, type Target, timedCase } from "../harness/case.js";
import { churnCase, type SeedlessMix } from "./churn.js";

const ALLOCATORS = { "AssemblyScript's TLSF": "tlsf", dlmalloc: "dlmalloc", "tidemark byte heap": "heap" } as const;

/** What moves a cursor and frees nothing: no allocator can be faster. Not where it would take a gigabyte. */
const BOUND = { "bump, frees nothing": "bump" } as const;

/** Long enough for the fill and the last frees not to count, and for sizes of 10,000 B to fill many pages. */
const OPERATIONS = 400_000;

const mixOf = (minimumLive: number, maximumSize: number, reallocates = false): SeedlessMix => ({
  minimumLive,
  maximumSize,
  operations: OPERATIONS,
  reallocates,
});

/** What the byte heap promises: its rate in those of its peers, and how full what it holds is at least, in percent. */
function targets(promise: {
  tlsf: number;
  dlmalloc?: number;
  utilisation: number;
  asFullAsDlmalloc?: boolean;
}): Target[] {
  const subject = "tidemark byte heap";
  const { tlsf, dlmalloc, utilisation, asFullAsDlmalloc = false } = promise;
  return [
    { subject, ratio: { atLeast: tlsf } },
    ...(dlmalloc === undefined ? [] : [{ subject, against: "dlmalloc", ratio: { atLeast: dlmalloc } }]),
    { subject, metric: "utilisation", value: { atLeast: utilisation } },
    ...(asFullAsDlmalloc ? [{ subject, metric: "utilisation", against: "dlmalloc", ratio: { atLeast: 1 } }] : []),
  ];
}

const CELLS: Replacement = { seed: 1, live: 4096, cellBytes: 32, operations: 400_000 };

async function replacing(strategy: "cells" | "intrusiveList") {
  const { createWorkbench } = await import("../drivers/workbench.js");
  const { prepareReplace } = await import("../drivers/replace.js");
  const workbench = await createWorkbench(strategy);
  return { run: prepareReplace(workbench, CELLS), dispose: workbench.dispose };
}

export default defineSuite({
  name: "heap",
  title: "allocating and freeing inside wasm",
  cases: [
    churnCase({
      name: "small",
      title: "blocks of 1–256 B in random order, at least 2,000 live",
      mix: mixOf(2_000, 256),
      strategies: { ...ALLOCATORS, ...BOUND },
      targets: targets({ tlsf: 1.9, dlmalloc: 1.5, utilisation: 81, asFullAsDlmalloc: true }),
    }),
    churnCase({
      name: "tiny",
      title: "blocks of 1–64 B in random order, at least 20,000 live",
      mix: mixOf(20_000, 64),
      strategies: { ...ALLOCATORS, ...BOUND },
      targets: targets({ tlsf: 1.6, dlmalloc: 1.2, utilisation: 71, asFullAsDlmalloc: true }),
    }),
    churnCase({
      name: "mixed",
      title: "blocks of 1–10,000 B in random order, at least 50 live",
      mix: mixOf(50, 10_000),
      strategies: ALLOCATORS,
      targets: targets({ tlsf: 1.2, utilisation: 95 }),
    }),
    churnCase({
      name: "reallocating",
      title: "the same, and every third step gives a random block another size",
      mix: mixOf(50, 10_000, true),
      strategies: ALLOCATORS,
      targets: targets({ tlsf: 1.2, utilisation: 92 }),
    }),
    timedCase({
      name: "cells",
      title: "replace a random one of 4,096 cells of 32 B",
      unit: "cell",
      operations: CELLS.operations,
      metric: "time",
      baseline: "unchecked free list",
      subjects: {
        "unchecked free list": () => replacing("intrusiveList"),
        "tidemark pool": () => replacing("cells"),
      },
      expected: async () => {
        const { replacePlainly } = await import("../drivers/replace.js");
        return replacePlainly(CELLS);
      },
      targets: [{ subject: "tidemark pool", ratio: { atMost: 1.5 } }],
    }),
  ],
});
