import type { Host, KindOptions, LoopOptions } from "tidemark";
import { createLoop, DuplicateKindError, InvalidArgumentError, LoopClosedError } from "tidemark";
import { describe, expect, test } from "vitest";
import { withRuntime } from "../support/runtimes.js";
import { SimulatedHost, SimulatedRuntime } from "./simulation.js";

const make = (options: unknown) => createLoop(new SimulatedRuntime().runtime, options as LoopOptions);

const NO_COUNTS = [
  -1,
  0.5,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  "8",
  8n,
  null,
  {},
];

test("a loop of a promise of a runtime is told that it is one", () => {
  const runtime = Promise.resolve() as never;
  expect(() => createLoop(runtime)).toThrow("createLoop takes a runtime, but was given a promise");
});

describe("the options of a loop", () => {
  test("take frames of its own runtime only", () =>
    withRuntime({}, (runtime) =>
      withRuntime({}, async (other) => {
        const frames = other.framePool();
        expect(() => createLoop(runtime, { frames })).toThrow(InvalidArgumentError);
        expect(() => createLoop(runtime, { frames })).toThrow("another runtime");
        await createLoop(other, { frames }).close();
      }),
    ));

  test("may all be left out", () => {
    expect(createLoop(new SimulatedRuntime().runtime).stats().processed).toBe(0);
    expect(make({ queue: {}, turn: {} }).stats().queued).toBe(0);
  });

  for (const name of ["queue.capacity", "queue.overflow", "turn.events", "inFlight"]) {
    test(`refuse a ${name} that is no count, with the number in the message`, () => {
      const [group, member] = name.split(".") as [string, string | undefined];
      const build = (value: unknown) => make({ [group]: member === undefined ? value : { [member]: value } });
      for (const value of name === "queue.overflow" ? NO_COUNTS : [0, ...NO_COUNTS]) {
        expect(() => build(value), String(value)).toThrow(InvalidArgumentError);
        expect(() => build(value), String(value)).toThrow(name);
        if (typeof value === "number") expect(() => build(value)).toThrow(String(value));
      }
      build(1);
    });
  }

  test("refuse a time slice that is none, and take fractions of a millisecond", () => {
    for (const milliseconds of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, 2 ** 32, "4"]) {
      expect(() => make({ turn: { milliseconds } }), String(milliseconds)).toThrow(InvalidArgumentError);
    }
    make({ turn: { milliseconds: 0.25 } });
  });

  test("refuse what has the wrong type", () => {
    for (const options of [
      null,
      7,
      { queue: 4096 },
      { turn: "long" },
      { queue: { policy: "drop" } },
      { onError: "log" },
      { frames: {} },
      { frames: null },
      { host: 1 },
      { host: {} },
      { host: { now: () => 0, hop: () => {} } },
    ]) {
      expect(() => make(options), JSON.stringify(options)).toThrow(InvalidArgumentError);
    }
    make({ host: new SimulatedHost() satisfies Host });
  });

  test("of no overflow at all make spilling the same as rejecting", () => {
    const loop = make({ queue: { capacity: 1, overflow: 0, policy: "spill" } });
    const kind = loop.on("kind", (_: number) => {});
    expect([kind.post(1), kind.post(2)]).toEqual(["queued", "rejected"]);
  });
});

describe("declaring a kind", () => {
  test("twice is refused, and the first handler stays", async () => {
    const host = new SimulatedHost();
    const loop = make({ host });
    const seen: string[] = [];
    const kind = loop.on("depth", () => seen.push("first"));
    expect(() => loop.on("depth", () => seen.push("second"))).toThrow(DuplicateKindError);
    expect(() => loop.on("depth", () => {})).toThrow('"depth"');
    kind.post(undefined);
    loop.runUntilIdle();
    await host.rest();
    expect(seen).toEqual(["first"]);
  });

  test("needs a name that is a string and not empty", () => {
    const loop = make({});
    for (const name of ["", 1, null, undefined, Symbol("kind"), {}]) {
      expect(() => loop.on(name as string, () => {}), String(name)).toThrow(InvalidArgumentError);
    }
    loop.on("toString", () => {});
    loop.on("__proto__", () => {});
  });

  test("needs a handler that is a function, and no async generator, whose body would never run", () => {
    const loop = make({});
    const handlers = [
      undefined,
      null,
      {},
      "handler",
      async function* () {
        yield 1;
      },
    ];
    for (const handler of handlers) {
      expect(() => loop.on("kind", handler as () => void)).toThrow(InvalidArgumentError);
    }
    loop.on("kind", () => {}); // the name was not taken by what was refused
  });

  test("needs a policy that exists", () => {
    const loop = make({});
    for (const options of [{ policy: "drop" }, null, "spill"]) {
      expect(() => loop.on("kind", () => {}, options as KindOptions)).toThrow(InvalidArgumentError);
    }
  });

  test("is refused by a closed loop", async () => {
    const loop = make({});
    await loop.close();
    expect(() => loop.on("kind", () => {})).toThrow(LoopClosedError);
  });
});
