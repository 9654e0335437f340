import { ReentrantCallError } from "../errors.js";
import { DestroySweep } from "../memory/destroySweep.js";
import type { Address } from "../memory/module.js";
import { type HookedRecords, hookedRecordsOf } from "./hookedRecords.js";
import type { Space } from "./space.js";

/** Instead of a mark: the arena will not be used again, and its end cannot fail. */
const FOR_GOOD = -1;

/** What `setGuardAside` returns when it has set nothing aside. */
const NO_GUARD_NEEDED = 1;

/**
 * Runs the destroy hooks of all records that are about to end with `space`: its own and those of the arenas nested in it,
 * the newest first. In the meantime these arenas take no call that would change them. To be called before anything has
 * changed, by an operation that then cannot fail any more.
 *
 * @param since of a rewind, the mark's serial: only what was made since is about to end
 * @param mark of a rewind, the mark's address; 0 of a reset
 * @returns the sweep, to be finished when the memory has been reclaimed; undefined if there was no hook to run
 * @throws {ReentrantCallError} if one of the arenas is in the midst of this already; no hook has run
 * @throws {InvalidArgumentError} if a program has frozen one of the arenas; likewise
 * @throws {OutOfMemoryError}, {SealedError} or {StaleMarkError} if the operation would fail; no hook has run
 */
export function destroyRecords(
  space: Space,
  operation: string,
  since = -1,
  mark: Address = FOR_GOOD,
): DestroySweep | undefined {
  const memory = space.$memory;
  const newest = space.$newestChild;
  const ending = newest !== undefined && newest.$birth > since ? endingWith(space, since) : undefined;
  if (ending === undefined) space.$assertMutable();
  else for (const each of ending) each.$assertMutable();
  // No record has ever had a hook; or the runtime's dispose has run them all.
  if (memory.hookOwners.size === 0 && memory.hooksRunning === 0) return undefined;
  if (space.$sweeping) throw reentrant(operation);
  memory.recover();
  if (ending !== undefined) return sweepTree(ending, operation, since, mark);
  if (space.$newest === 0 || !space.$records!.isSince(space.$newest, since)) return undefined;
  return sweepAlone(space, operation, since, mark);
}

/** The error for a call that would change an arena whose hooks are running. */
export function reentrant(operation: string): ReentrantCallError {
  return new ReentrantCallError(
    `${operation}: the arena, or one nested in it, is about to end its records, and their destroy hooks are running`,
  );
}

/** What most events come to: no arena but the event's own, and so no list to be made. */
function sweepAlone(space: Space, operation: string, since: number, mark: Address): DestroySweep {
  const guard = setGuardAside(space, operation, since, mark);
  const records = space.$records!;
  const sweep = DestroySweep.begin(space.$memory);
  close(space);
  for (let header = space.$newest; header !== 0 && records.isSince(header, since); header = space.$newest) {
    space.$newest = records.previousOf(header);
    records.end(header, sweep);
  }
  space.$sweeping = false;
  giveBack(space, guard);
  return sweep;
}

/** @param ending the space, and all that are nested in it and end */
function sweepTree(ending: Space[], operation: string, since: number, mark: Address): DestroySweep | undefined {
  const space = ending[0]!;
  if (ending.some((each) => each.$sweeping)) throw reentrant(operation);
  const records = hookedRecordsOf(space.$memory);
  const headers = ending.flatMap((each) => headersOf(each, records, each === space ? since : -1));
  if (headers.length === 0) return undefined;
  const guard = setGuardAside(space, operation, since, mark);
  headers.sort((one, other) => records.sequenceOf(other) - records.sequenceOf(one));
  const sweep = DestroySweep.begin(space.$memory);
  for (const each of ending) {
    close(each);
    if (each !== space) each.$newest = 0;
  }
  while (space.$newest !== 0 && records.isSince(space.$newest, since)) {
    space.$newest = records.previousOf(space.$newest);
  }
  for (const header of headers) records.end(header, sweep);
  for (const each of ending) each.$sweeping = false;
  giveBack(space, guard);
  return sweep;
}

/** Sees to it that the operation cannot fail after its hooks, which may use up the memory that it would need. */
function setGuardAside(space: Space, operation: string, since: number, mark: Address): Address {
  if (mark === FOR_GOOD) return NO_GUARD_NEEDED;
  const guard = space.$memory.exports.setGuardAside(space.$header * 4, mark, since) >>> 0;
  if (guard === 0) throw space.$memory.failure(operation);
  return guard;
}

function giveBack(space: Space, guard: Address): void {
  if (guard !== NO_GUARD_NEEDED) space.$memory.exports.returnGuard(guard);
}

/** Has every call that would change the space fail: the fast paths too, which without a claim have nothing to hand out. */
function close(space: Space): void {
  space.$yield();
  space.$sweeping = true;
}

/** The space and all that is nested in those children of it that were made after `since`. Not recursive. */
function endingWith(space: Space, since: number): Space[] {
  const ending = [space];
  space.$childrenSince(since, ending);
  for (let index = 1; index < ending.length; index++) ending[index]!.$childrenSince(-1, ending);
  return ending;
}

function headersOf(space: Space, records: HookedRecords, since: number): Address[] {
  const headers: Address[] = [];
  for (let header = space.$newest; header !== 0 && records.isSince(header, since); ) {
    headers.push(header);
    header = records.previousOf(header);
  }
  return headers;
}
