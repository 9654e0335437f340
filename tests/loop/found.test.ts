// What the simulation has found, each in as few steps as it takes.

import type { Region } from "tidemark";
import { createLoop, RegionEndedError } from "tidemark";
import { describe, expect, test } from "vitest";
import { withRuntime } from "../support/runtimes.js";
import { SimulatedHost } from "./simulation.js";

describe("in the debug runtime, a fiber's region", () => {
  test("is no other event's, also if the fiber has ended before it waited", () =>
    withRuntime({ debug: true }, async (runtime) => {
      const host = new SimulatedHost();
      const loop = createLoop(runtime, { host });
      const regions: Region[] = [];
      const kind = loop.on("kind", function* (_: number, { region }) {
        regions.push(region);
      });
      for (let event = 0; event < 2; event++) kind.post(event);
      loop.runUntilIdle();
      await host.rest();
      expect(regions[0]).not.toBe(regions[1]);
      expect(() => regions[0]!.bytes(1)).toThrow(RegionEndedError);
    }));
});
