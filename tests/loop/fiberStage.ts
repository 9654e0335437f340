import { createFibers, type FibersOptions } from "tidemark";
import { SimulatedHost } from "./simulation.js";

/** A scheduler under a simulated host, and what happened, in order. */
export function stage(options: FibersOptions = {}) {
  const host = new SimulatedHost();
  const log: unknown[] = [];
  const fibers = createFibers({ host, onError: (error) => log.push(error), ...options });
  return { host, fibers, log };
}
