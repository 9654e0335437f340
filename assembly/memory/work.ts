// Work units: what an operation does in loops, counted by the debug module, so that tests can hold a bound against it.

import { IS_DEBUG, root } from "./root";

/** Counts one step of a loop. Nothing in the release module. */
export function countStep(): void {
  if (IS_DEBUG) root().steps++;
}
