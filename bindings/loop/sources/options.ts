import { assertFunction, assertOptions, checkInteger, describe, type NamesOf } from "../../arguments.js";
import { InvalidArgumentError } from "../../errors.js";
import type { Framing } from "../messageRing.js";
import { FRAMING_BYTES, RING_BYTES_LIMIT } from "../messageRingLayout.js";
import type { StopPolicy } from "./tap.js";

/** Options of `loop.source()`; all may be left out. */
export interface SourceOptions {
  /**
   * How the bytes become messages: `"message"` (the default): each chunk is one, as for WebSockets; `"line"`: each line, without
   * its end, `\n` or `\r\n`, and what follows the last one; `"length"`: each is preceded by its length in four bytes, the most
   * significant first, or last for `"length-le"`. Texts count as their bytes in UTF-8, for lengths, too. But for `"message"`, they may
   * be cut anywhere, even in the midst of a character. Half a one that stays alone is U+FFFD.
   */
  readonly framing?: Framing | undefined;
  /**
   * Bytes in linear memory for messages until their events have ended, 1 KiB to 1 GiB; 1 MiB if not given. There is a place for
   * one message for each 64 bytes (16,384 in 1 MiB), 1,024 at the least and 65,536 at the most; while all places are in use, the
   * stream waits.
   */
  readonly ringBytes?: number | undefined;
  /** The longest message in bytes, from 1 to `ringBytes` − 8; a quarter of `ringBytes` if not given. */
  readonly maximumMessageBytes?: number | undefined;
  /**
   * What a longer message does: it ends the source with a {@link SourceError} (`"end"`, the default), or is left out (`"skip"`).
   * One with a length must come to its end even so: a stream that ends before that is truncated.
   */
  readonly tooLong?: "end" | "skip" | undefined;
  /**
   * Bytes (of texts, units) that may wait outside the ring for room in it, as what comes from a stream that cannot be paused does,
   * from 0 to 2^40; 16 MiB if not given. For the engine's part of it each chunk counts as 64 bytes more if it is a text, and as 256
   * if it is not. One more chunk ends the source with a {@link SourceError}. A chunk that waits is not copied: leave its bytes as they
   * are. Of one whose buffer is transferred or resized meanwhile the bytes are gone, which ends the source, too.
   */
  readonly backlogBytes?: number | undefined;
  /** Makes bytes or a text of what the stream gives; chunks for which it returns `undefined` are skipped. */
  readonly map?: ((this: void, chunk: never) => Uint8Array | ArrayBuffer | string | undefined) | undefined;
  /** Of an `EventTarget`, the type of the events; `"message"` if not given. Its `map` is `(event) => event.data` if not given. */
  readonly event?: string | undefined;
  /**
   * What the source does with its stream when it ends first, since it is stopped, its loop closes, or a message is too long:
   * it closes, cancels or destroys it (`"close"`, the default), or only lets go of it (`"leave"`): a Node stream is paused, a web
   * stream unlocked, a WebSocket left as it is. Of an async iterable the chunk that has been asked for already is lost.
   */
  readonly onStop?: StopPolicy | undefined;
}

/** The options, checked and complete. */
export interface SourceSettings {
  readonly framing: Framing;
  readonly ringBytes: number;
  readonly maximumMessageBytes: number;
  readonly skipsTooLong: boolean;
  readonly backlogBytes: number;
  readonly map: ((chunk: never) => unknown) | undefined;
  readonly event: string;
  readonly onStop: StopPolicy;
}

const DEFAULT_RING_BYTES = 1 << 20;
const LEAST_RING_BYTES = 1 << 10;
const DEFAULT_BACKLOG_BYTES = 16 << 20;

const OPTIONS: NamesOf<SourceOptions> = {
  framing: true,
  ringBytes: true,
  maximumMessageBytes: true,
  tooLong: true,
  backlogBytes: true,
  map: true,
  event: true,
  onStop: true,
};

/** @throws {InvalidArgumentError} naming the first option that is out of range */
export function sourceSettings(options: SourceOptions): SourceSettings {
  assertOptions("the options argument of source", options, OPTIONS);
  const { framing = "message", tooLong = "end", map, event = "message", onStop = "close" } = options;
  const { ringBytes = DEFAULT_RING_BYTES, backlogBytes = DEFAULT_BACKLOG_BYTES } = options;
  checkInteger("ringBytes", ringBytes, LEAST_RING_BYTES, RING_BYTES_LIMIT);
  const { maximumMessageBytes = ringBytes >>> 2 } = options;
  if (map !== undefined) assertFunction("map", map);
  if (typeof event !== "string" || event === "") {
    throw new InvalidArgumentError(`event must be the name of an event, but is ${describe(event)}`);
  }
  return {
    framing: oneOf("framing", framing, ["message", "line", "length", "length-le"]),
    ringBytes,
    maximumMessageBytes: checkInteger("maximumMessageBytes", maximumMessageBytes, 1, ringBytes - FRAMING_BYTES),
    skipsTooLong: oneOf("tooLong", tooLong, ["end", "skip"]) === "skip",
    backlogBytes: checkInteger("backlogBytes", backlogBytes, 0, 2 ** 40),
    map,
    event,
    onStop: oneOf("onStop", onStop, ["close", "leave"]),
  };
}

function oneOf<Choice extends string>(name: string, value: Choice, choices: readonly Choice[]): Choice {
  if (choices.includes(value)) return value;
  const named = choices.map((choice) => JSON.stringify(choice)).join(", ");
  throw new InvalidArgumentError(`${name} must be one of ${named}, but is ${describe(value)}`);
}
