// The programs of ../programs/ with managed classes, as one writes them for AssemblyScript's own runtimes. What lives from
// one event to the next is held by a global: the minimal runtime does not look at the stack.

import { now } from "../drivers/clock";
import { Program } from "../programs/program";

/** ASC_RUNTIME of `--runtime minimal`. */
const MINIMAL: i32 = 1;

/** Objects made since the minimal runtime has last collected. */
let made: u32 = 0;

/** Ends an event that has made so many objects. The incremental runtime works when memory is asked for, and not here. */
export function endEvent(record: Program, count: u32): void {
  record.made += count;
  if (ASC_RUNTIME != MINIMAL) return;
  made += count;
  if (made < record.collectAfter) return;
  made = 0;
  const started = record.timed ? now() : 0;
  __collect();
  record.steps++;
  if (record.timed) record.noteTime(now() - started);
}
