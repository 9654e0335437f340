import { DisposedError, FiberStateError } from "../errors.js";
import { Baton } from "./baton.js";
import { platformTimers, type Registration, type Waiter, Waiting, type WaitTimers } from "./waiting.js";

/** What those who keep a line decide. */
export interface LineKeeper {
  /** Gives the place what it wants, by `$grant` or `$reject`, if that can be done at once. Returns whether it was. */
  $attempt(place: Place, line: Line): boolean;
  /** A place has left the line ungranted: whoever stands behind it may have its chance. */
  $departed(line: Line): void;
  /** Called when a place times out or its waiter is cancelled. Returning true keeps the place waiting. Optional. */
  $keeps?(place: Place, expired: boolean): boolean;
}

/** How many places a line keeps for later, at most: as many as waited at once, up to this. */
const SPARES = 1024;

/**
 * Those who wait for one thing, in the order in which they came.
 *
 * Each stands on a {@link Place} with a baton of its own, and is let go by a post. Places are used again, so waiting makes
 * no garbage once as many have waited at once as ever will. Entering, leaving and letting go are O(1).
 */
export class Line {
  readonly #keeper: LineKeeper;
  readonly $timers: WaitTimers | undefined;
  #first: Place | undefined;
  #last: Place | undefined;
  #spare: Place | undefined;
  #spares = 0;
  /** How many wait. */
  length = 0;

  constructor(keeper: LineKeeper, timers: WaitTimers | undefined) {
    this.#keeper = keeper;
    this.$timers = timers;
  }

  get keeper(): LineKeeper {
    return this.#keeper;
  }

  get first(): Place | undefined {
    return this.#first;
  }

  /** A place for an operation that begins when it is yielded or awaited. */
  offer<Value>(argument: unknown, milliseconds: number | undefined): Operation<Value> {
    let place = this.#spare;
    if (place === undefined) {
      place = new Place(this);
    } else {
      this.#spare = place.next;
      this.#spares--;
      place.next = undefined;
    }
    place.offer(argument, milliseconds);
    return place as Operation<unknown> as Operation<Value>; // what its keeper grants
  }

  /** A place whose operation is over, or has been given up before it began. */
  recycle(place: Place): void {
    if (this.#spares === SPARES) return;
    this.#spares++;
    place.next = this.#spare;
    this.#spare = place;
  }

  push(place: Place): void {
    const last = this.#last;
    place.line = this;
    place.previous = last;
    if (last === undefined) this.#first = place;
    else last.next = place;
    this.#last = place;
    this.length++;
  }

  /** Takes the first out of the line. */
  shift(): Place | undefined {
    const place = this.#first;
    if (place !== undefined) this.remove(place);
    return place;
  }

  /** Takes a place out of the line, wherever it stands. */
  remove(place: Place): void {
    const { previous, next } = place;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    place.line = undefined;
    place.previous = undefined;
    place.next = undefined;
    this.length--;
  }

  /** Lets everybody go, with an error each, but for places of other lines, which stand here for a time. */
  reject(error: () => unknown): void {
    let guests: Place | undefined; // the first of them, which stays where it is
    for (let place = this.#first; place !== undefined; place = guests === undefined ? this.#first : guests.next) {
      if (place.$home === this) {
        this.remove(place);
        place.$reject(error());
      } else {
        guests = place;
      }
    }
  }
}

/** What may have to wait, and can be one of those that {@link select} chooses from: `channel.receive()`, `mutex.lock()`. */
export interface Operation<Value> extends Waiting<Value> {
  /** Only these have one. */
  readonly $home: object;
}

/** Somebody who chooses between places: the first that is granted or rejected is taken. */
export interface Chooser {
  $chosen(place: Place): void;
}

const SPARE = 0;
/** Handed out, not yet yielded or awaited. */
const OFFERED = 1;
/** The waiter waits for the baton. */
const WAITING = 2;
/** One of several in a select. */
const CHOICE = 3;

/**
 * One operation that may have to wait: what `mutex.lock()` or `channel.send(value)` returns, to be yielded or awaited, once.
 *
 *   SPARE ──offer──▶ OFFERED ──yield or await──▶ WAITING ──granted, rejected, timed out, cancelled──▶ SPARE
 *                       └────────select────────▶ CHOICE ──chosen, or another was──▶ SPARE
 */
export class Place extends Waiting<unknown> implements Waiter, Registration {
  /** The line it is of, which is not always the one that it stands in. */
  readonly $home: Line;
  readonly #baton = new Baton();
  #state: typeof SPARE | typeof OFFERED | typeof WAITING | typeof CHOICE = SPARE;
  #milliseconds: number | undefined;
  #waiter: Waiter | undefined;
  #registration: Registration | undefined;

  /** The line it stands in, its neighbours there; among spare ones, the next of them. */
  line: Line | undefined = undefined;
  next: Place | undefined = undefined;
  previous: Place | undefined = undefined;

  /** What the operation works with: permits, a value. */
  argument: unknown = undefined;
  /** What has come of it. */
  value: unknown = undefined;
  rejected = false;
  /** The select of which it is a choice. */
  $chooser: Chooser | undefined = undefined;

  constructor(home: Line) {
    super();
    this.$home = home;
  }

  offer(argument: unknown, milliseconds: number | undefined): void {
    this.argument = argument;
    this.#milliseconds = milliseconds;
    this.#state = OFFERED;
  }

  $begin(waiter: Waiter): Registration | undefined {
    this.#assertOffered();
    this.#state = WAITING;
    this.#waiter = waiter;
    const home = this.$home;
    if (!home.keeper.$attempt(this, home)) home.push(this);
    const limit = this.#milliseconds;
    try {
      return this.#enter(limit === undefined ? this.#baton.wait() : this.#baton.wait(limit));
    } catch (error) {
      // There is no timer for the limit. What the keeper owes all the same, a mutex, comes before the error.
      this.rejected = true;
      this.value = error;
      if (home.keeper.$keeps?.(this, false)) return this.#enter(this.#baton.wait());
      this.#leave();
      this.#recycle();
      throw error;
    }
  }

  /** Waits for the baton. Returns undefined if it was posted already: then all is over. */
  #enter(wait: Waiting<unknown>): this | undefined {
    const registration = wait.$begin(this);
    if (registration === undefined) return undefined;
    this.#registration = registration;
    return this;
  }

  /** The operation is done, and gives `value`. From here on neither timeout nor cancel can take it back. */
  $grant(value: unknown): void {
    this.value = value;
    const chooser = this.$chooser;
    if (chooser === undefined) this.#baton.post();
    else chooser.$chosen(this);
  }

  /** The operation will not be done. */
  $reject(error: unknown): void {
    this.rejected = true;
    this.$grant(error);
  }

  get $timers(): WaitTimers {
    return this.#waiter!.$timers;
  }

  /** By the baton: `false` if the time is up, anything else if it was posted. */
  $resume(posted: unknown): void {
    if (posted === false) {
      if (this.$home.keeper.$keeps?.(this, true)) {
        const registration = this.#baton.wait().$begin(this);
        if (registration !== undefined) this.#registration = registration;
        return;
      }
      this.#leave();
      this.value = false;
    }
    const waiter = this.#waiter!;
    const { value, rejected } = this;
    this.#recycle();
    if (rejected) waiter.$fail(value);
    else waiter.$resume(value);
  }

  $fail(error: unknown): void {
    this.$reject(error);
  }

  $withdraw(_waiter: Waiter): boolean {
    if (this.$home.keeper.$keeps?.(this, false)) return false;
    this.#registration?.$withdraw(this);
    this.#leave();
    this.#recycle();
    return true;
  }

  /** Becomes one of the choices of a select. */
  $choose(chooser: Chooser): void {
    this.#assertOffered();
    this.#state = CHOICE;
    this.$chooser = chooser;
  }

  /**
   * The select is over, or could not begin: gives the place back, whether it has been chosen or not. Returns the line that it
   * has left, whose keeper is to be told when all places of the select have left theirs.
   */
  $unchoose(): Line | undefined {
    const { line } = this;
    line?.remove(this);
    this.#recycle();
    return line;
  }

  protected override get asyncTimers(): WaitTimers {
    return this.$home.$timers ?? platformTimers();
  }

  #assertOffered(): void {
    if (this.#state === OFFERED) return;
    throw new FiberStateError("an operation can be waited for once: make another for each yield, await or select");
  }

  #leave(): void {
    const { line } = this;
    if (line === undefined) return;
    line.remove(this);
    line.keeper.$departed(line);
  }

  #recycle(): void {
    this.#state = SPARE;
    this.#waiter = undefined;
    this.#registration = undefined;
    this.$chooser = undefined;
    this.argument = undefined;
    this.value = undefined;
    this.rejected = false;
    this.$home.recycle(this);
  }
}

/** What is thrown at those who wait for what is not there any more. */
export function disposedError(what: string): DisposedError {
  return new DisposedError(`the ${what} has been disposed`);
}
