// A loop on a real runtime and a simulated host, and the account of what became of it.

import { createLoop, createRuntime, type FailedEvent, type Loop, type LoopOptions, type Runtime } from "tidemark";
import { SimulatedHost, settled } from "./simulation.js";

export interface RealLoop {
  readonly host: SimulatedHost;
  readonly runtime: Runtime;
  readonly loop: Loop;
  /** What `onError` was told, unless the options have another. */
  readonly failures: { readonly error: unknown; readonly event: FailedEvent }[];
  /** Lets `milliseconds` go by, one by one, with all turns that come of it. */
  pass(milliseconds?: number): Promise<void>;
}

/** @param options with `onError: undefined`, the loop has none */
export async function realLoop(
  options: Omit<LoopOptions, "onError"> & { readonly onError?: LoopOptions["onError"] | undefined } = {},
  runtime?: Runtime,
): Promise<RealLoop> {
  const host = new SimulatedHost();
  const own = runtime ?? (await createRuntime());
  const failures: RealLoop["failures"] = [];
  const loop = createLoop(own, {
    host,
    onError: (error, event) => failures.push({ error, event }),
    ...options,
  } as LoopOptions);
  const pass = async (milliseconds = 0) => {
    await settled();
    await host.rest();
    for (let passed = 0; passed < milliseconds; passed++) {
      await host.advance(1);
      await host.rest();
    }
  };
  return { host, runtime: own, loop, failures, pass };
}

/** Nothing that an event had is left: neither region nor scope, nor a place in flight. */
export const NOTHING_LEFT = { regionsLive: 0, scopesLive: 0, inFlight: 0, quarantined: 0, queued: 0 };
