import { describe } from "../arguments.js";
import { InvalidArgumentError } from "../errors.js";
import { Baton } from "./baton.js";
import { Condition } from "./condition.js";
import { type Chooser, type Operation, Place } from "./line.js";
import { checkMilliseconds } from "./milliseconds.js";
import { platformTimers, type Registration, type Waiter, Waiting, type WaitTimers } from "./waiting.js";

/** What a select gives: which of the operations was done, counted from 0, and its value. */
export interface Selected<Value = unknown, Index extends number = number> {
  /** The operation's place in the list, from 0. */
  readonly index: Index;
  /** What the operation gives. */
  readonly value: Value;
}

/**
 * Does exactly one of several operations: the first, in the order given, that can be done at once, or else the one that can
 * be done first. The others are not done, and have changed nothing.
 *
 * The order given is a priority: turn the list round from call to call, if a busy channel must not starve those after it.
 * Costs O(operations), and makes an object or two.
 *
 * @param operations from `channel.send`, `channel.receive`, `mutex.lock`, `semaphore.acquire`, `waitGroup.wait`, made for this
 * call; limits of time of their own do not count
 * @param milliseconds the longest to wait, 0 to 2^31 − 1; then the wait gives `undefined`, and nothing has been done
 * @throws {InvalidArgumentError} if an operation is not one, or a condition's, or is given twice, or there are none; or if
 * `milliseconds` is out of range. The wait throws {@link FiberStateError}, if an operation has been waited for already, and what
 * the operation throws that was chosen: a closed channel's error, say
 *
 * @example
 * const chosen = yield select([orders.receive(), cancels.receive()], 1000);
 * if (chosen?.index === 1) drop(chosen.value);
 */
export function select<const Operations extends readonly Operation<unknown>[]>(
  operations: Operations,
): Waiting<SelectedOf<Operations>>;
export function select<const Operations extends readonly Operation<unknown>[]>(
  operations: Operations,
  milliseconds: number,
): Waiting<SelectedOf<Operations> | undefined>;
export function select(
  operations: readonly Operation<unknown>[],
  milliseconds?: number,
): Waiting<Selected | undefined> {
  if (!Array.isArray(operations) || operations.length === 0) {
    throw new InvalidArgumentError(`select takes operations to choose from, but was given ${describe(operations)}`);
  }
  for (const operation of operations) assertChoice(operation);
  if (new Set(operations).size < operations.length) {
    throw new InvalidArgumentError("select takes each operation once");
  }
  if (milliseconds !== undefined) checkMilliseconds("the time limit of select", milliseconds);
  return new Selection(operations as readonly unknown[] as readonly Place[], milliseconds);
}

/** For each operation of a list, what a select gives if it is chosen: its `index` tells the type of `value`. */
export type SelectedOf<Operations extends readonly Operation<unknown>[]> = {
  [Index in keyof Operations]: Selected<
    Operations[Index] extends Operation<infer Value> ? Value : never,
    Index extends `${infer Position extends number}` ? Position : number
  >;
}[number];

function assertChoice(operation: unknown): void {
  if (operation instanceof Place && !(operation.$home.keeper instanceof Condition)) return;
  throw new InvalidArgumentError(
    "select takes operations of channels, mutexes, semaphores and wait groups (no waits of batons or conditions, and no sleep), " +
      `but was given ${describe(operation)}`,
  );
}

/** A select, from the call to its end. All places stand in their lines, and the first that is let go takes the others out. */
class Selection extends Waiting<Selected | undefined> implements Waiter, Chooser, Registration {
  readonly #places: readonly Place[];
  readonly #milliseconds: number | undefined;
  readonly #baton = new Baton();
  #waiter: Waiter | undefined;
  #registration: Registration | undefined;
  #selected: Selected | undefined;
  #isRejected = false;

  constructor(places: readonly Place[], milliseconds: number | undefined) {
    super();
    this.#places = places;
    this.#milliseconds = milliseconds;
  }

  $begin(waiter: Waiter): Registration | undefined {
    const places = this.#places;
    let taken = 0;
    try {
      for (; taken < places.length; taken++) places[taken]!.$choose(this);
    } catch (error) {
      for (let index = 0; index < taken; index++) places[index]!.$unchoose();
      throw error;
    }
    this.#waiter = waiter;
    if (!places.some((place) => place.$home.keeper.$attempt(place, place.$home))) {
      for (const place of places) place.$home.push(place);
    }
    const limit = this.#milliseconds;
    let registration: Registration | undefined;
    try {
      registration = (limit === undefined ? this.#baton.wait() : this.#baton.wait(limit)).$begin(this);
    } catch (error) {
      this.#waiter = undefined;
      this.#leave(); // there is no timer for the limit
      throw error;
    }
    if (registration === undefined) return undefined;
    this.#registration = registration;
    return this;
  }

  $chosen(chosen: Place): void {
    this.#isRejected = chosen.rejected;
    this.#selected = { index: this.#places.indexOf(chosen), value: chosen.value };
    this.#baton.post(); // first, as it was before those whom our leaving lets go
    this.#leave();
  }

  get $timers(): WaitTimers {
    return this.#waiter!.$timers;
  }

  $resume(posted: unknown): void {
    if (posted === false) this.#leave();
    const waiter = this.#waiter!;
    this.#waiter = undefined;
    if (this.#isRejected) waiter.$fail(this.#selected!.value);
    else waiter.$resume(this.#selected);
  }

  $fail(error: unknown): void {
    this.#waiter!.$fail(error);
  }

  $withdraw(_waiter: Waiter): boolean {
    this.#registration!.$withdraw(this);
    this.#waiter = undefined;
    this.#leave();
    return true;
  }

  #leave(): void {
    const lines = this.#places.map((place) => place.$unchoose());
    for (const line of lines) line?.keeper.$departed(line); // only now: another place of ours may be its next
  }

  protected override get asyncTimers(): WaitTimers {
    return this.#places[0]!.$home.$timers ?? platformTimers();
  }
}
