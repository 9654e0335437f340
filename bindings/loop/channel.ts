import { checkInteger } from "../arguments.js";
import { ChannelClosedError, InvalidArgumentError } from "../errors.js";
import { ChannelIterator } from "./channelIterator.js";
import { Line, type LineKeeper, type Operation, type Place } from "./line.js";
import { timersAmong, type WaitOptions } from "./waiting.js";

/** As for queues of events: an array of 2^24 references is 128 MiB. */
const CAPACITY_LIMIT = 2 ** 24;

/**
 * A bounded queue of values between fibers and async functions.
 *
 * Values come out in the order in which they went in. A sender waits while the channel is full, a receiver while it is empty,
 * each side first come, first served: nobody is overtaken, by `trySend` and `tryReceive` neither. With capacity 0 a value is
 * handed over when both are there.
 *
 * `undefined` is no value: it is what a receiver gets when the channel is closed and all that was sent has been received.
 *
 * All operations are O(1), `close` for each who waits, and make no garbage in fibers; `for await` makes what promises make.
 *
 * @example
 * const ticks = new Channel<number>(64);
 * fibers.spawn(function* () {
 *   for (let tick = 0; tick < 1000; tick++) yield ticks.send(tick);
 *   ticks.close();
 * });
 * for await (const tick of ticks) console.log(tick);
 */
export class Channel<Value extends NonNullable<unknown> | null> implements LineKeeper, AsyncIterable<Value> {
  /** How many values wait for a receiver at the most. */
  readonly capacity: number;
  /** What is buffered: `#length` values from `#head` on, around the end. Grows to the capacity, as it is needed. */
  readonly #buffer: (Value | undefined)[] = [];
  #head = 0;
  #length = 0;
  #closed = false;
  /** Not empty only while the buffer is full. */
  readonly #senders: Line;
  /** Not empty only while the buffer is empty, and nobody sends but in the same select, which stands in both lines. */
  readonly #receivers: Line;

  /**
   * @param capacity how many values wait for a receiver, from 0 to 2^24
   * @throws {InvalidArgumentError} if the capacity is out of range, or `timers` has no `after` or no `cancel`
   */
  constructor(capacity: number, options?: WaitOptions) {
    const timers = timersAmong("the options argument of a channel", options);
    this.capacity = checkInteger("capacity", capacity, 0, CAPACITY_LIMIT);
    this.#senders = new Line(this, timers);
    this.#receivers = new Line(this, timers);
  }

  /**
   * Yield or await it to send a value: until there is room for it, or a receiver.
   *
   * @throws {InvalidArgumentError} for `undefined`. The wait throws {@link ChannelClosedError}, if the channel is closed
   * before the value is in it
   */
  send(value: Value): Operation<void> {
    assertValue(value);
    return this.#senders.offer(value, undefined);
  }

  /** Yield or await it to receive a value; `undefined` once the channel is closed, and all has been received. */
  receive(): Operation<Value | undefined> {
    return this.#receivers.offer(undefined, undefined);
  }

  /**
   * Sends a value, if that can be done at once. Returns whether it was.
   *
   * @throws {InvalidArgumentError} for `undefined`
   * @throws {ChannelClosedError} if the channel is closed
   */
  trySend(value: Value): boolean {
    assertValue(value);
    if (this.#closed) throw closed();
    return this.#put(value);
  }

  /** Receives a value, if one is there. `undefined` if none is; then `ended` tells whether none will come. */
  tryReceive(): Value | undefined {
    return this.#take();
  }

  /**
   * Takes no more values. Those who wait to send get a {@link ChannelClosedError}; what is buffered can be received, and
   * then `undefined`. A second call does nothing.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#senders.reject(closed);
    for (let place = this.#receivers.shift(); place !== undefined; place = this.#receivers.shift()) {
      place.$grant(undefined);
    }
  }

  /** Closes the channel, and drops what is buffered. */
  [Symbol.dispose](): void {
    this.close();
    this.#buffer.length = 0;
    this.#head = 0;
    this.#length = 0;
  }

  /** Values that are buffered. */
  get length(): number {
    return this.#length;
  }

  /** Whether it takes no more values; what is buffered may still be received. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether it is closed, and all has been received. */
  get ended(): boolean {
    return this.#closed && this.#length === 0;
  }

  /** How many wait to send, and how many to receive. */
  get waiting(): { readonly senders: number; readonly receivers: number } {
    return { senders: this.#senders.length, receivers: this.#receivers.length };
  }

  /**
   * Receives until the channel has ended. Several may iterate: each value goes to one. Leaving the loop closes nothing, and
   * `return()` of an iterator that waits takes it out of the line.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Value> & AsyncDisposable {
    return new ChannelIterator(() => this.receive());
  }

  $attempt(place: Place, line: Line): boolean {
    return line === this.#senders ? this.#attemptSend(place) : this.#attemptReceive(place);
  }

  $departed(): void {}

  #attemptSend(place: Place): boolean {
    if (this.#closed) {
      place.$reject(closed());
      return true;
    }
    if (!this.#put(place.argument as Value)) return false;
    place.$grant(undefined);
    return true;
  }

  #attemptReceive(place: Place): boolean {
    const value = this.#take();
    if (value === undefined && !this.#closed) return false;
    place.$grant(value);
    return true;
  }

  /** Hands a value to the first receiver, or buffers it. Returns whether it could. */
  #put(value: Value): boolean {
    const receiver = this.#receivers.shift();
    if (receiver !== undefined) {
      receiver.$grant(value);
      return true;
    }
    if (this.#length >= this.capacity) return false;
    this.#enqueue(value);
    return true;
  }

  /** Takes the first value; the first sender's comes after the last, or is taken itself if nothing is buffered. */
  #take(): Value | undefined {
    let value: Value | undefined;
    if (this.#length > 0) value = this.#dequeue();
    const sender = this.#senders.shift();
    if (sender !== undefined) {
      const sent = sender.argument as Value;
      if (value === undefined) value = sent;
      else this.#enqueue(sent);
      sender.$grant(undefined);
    }
    return value;
  }

  #enqueue(value: Value): void {
    const buffer = this.#buffer;
    if (this.#length === buffer.length) this.#grow();
    let index = this.#head + this.#length;
    if (index >= buffer.length) index -= buffer.length;
    buffer[index] = value;
    this.#length++;
  }

  #dequeue(): Value {
    const buffer = this.#buffer;
    const head = this.#head;
    const value = buffer[head]!;
    buffer[head] = undefined;
    this.#head = head + 1 === buffer.length ? 0 : head + 1;
    this.#length--;
    return value;
  }

  /** Doubles the buffer, which is full, up to the capacity; what lies before the head moves behind what lies after it. */
  #grow(): void {
    const buffer = this.#buffer;
    const full = buffer.length;
    const size = Math.min(this.capacity, Math.max(8, 2 * full));
    while (buffer.length < size) buffer.push(undefined);
    for (let index = 0; index < this.#head; index++) {
      const target = full + index; // below 2 × full; the capacity may be less, and then it goes round
      buffer[target < size ? target : target - size] = buffer[index];
      buffer[index] = undefined;
    }
  }
}

function assertValue(value: unknown): void {
  if (value === undefined) {
    throw new InvalidArgumentError("undefined cannot be sent: it tells a receiver that a channel has ended");
  }
}

function closed(): ChannelClosedError {
  return new ChannelClosedError("the channel is closed");
}
