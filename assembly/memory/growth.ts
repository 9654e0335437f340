// Growth: the only place where memory grows, and where the host is told of it.

import { IS_DEBUG, root } from "./root";

/** The host's hook: every view of the memory that it holds is detached now and must be made anew. */
declare function grown(): void;
/** The same for a module compiled for debugging: by the name that it imports, the host can tell which it is given. */
declare function grownDebug(): void;

/** Growth takes at least this, since a growth costs the host tens of microseconds whatever its size: 1 MiB. */
const STEP_MINIMUM: u32 = 16;
/** Growth takes no more than this beyond the need, so that memory ends near what the program uses: 16 MiB. */
const STEP_MAXIMUM: u32 = 256;

/**
 * Grows memory by at least `need` pages and returns the page at which the new ones begin; `u32.MAX_VALUE` when the
 * maximum (checked by the caller) or the engine refuses.
 *
 * It asks for an eighth of what is live, so that a growing heap grows a logarithmic number of times, and falls back to
 * the bare need when that is refused.
 */
export function growMemory(need: u32): u32 {
  const state = root();
  const room = state.maximumPages - <u32>memory.size();
  const live = state.committedPages - state.freePages;
  const step = min(max(live >> 3, STEP_MINIMUM), STEP_MAXIMUM);
  let amount = min(max(need, step), room);
  let before = memory.grow(<i32>amount);
  if (before < 0 && amount > need) {
    amount = need;
    before = memory.grow(<i32>amount);
  }
  if (before < 0) return u32.MAX_VALUE;
  state.growths++;
  return <u32>before;
}

/** Tells the host, after the page heap has taken the new pages into its tables. */
export function announceGrowth(): void {
  if (IS_DEBUG) grownDebug();
  else grown();
}
