/**
 * Every error that Tidemark throws.
 *
 * Each class has a `code` that stays the same across versions, and puts the numbers that explain it in the message. An
 * operation that throws one of these has changed nothing, and the runtime goes on working. The exceptions are
 * {@link DestroyHookError}, and in the debug runtime {@link CorruptionError}, which may tell of something that went wrong in
 * an operation that is done; and what its own documentation says of an operation on many (`freeMany`, `collect`). What a listener
 * or a callback of the program's throws comes as it is, or with others in an `AggregateError`; what a destroy hook throws is the
 * `cause` of a {@link DestroyHookError}.
 */

/** The stable codes, one per error class. */
export type TidemarkErrorCode =
  | "ERR_TIDEMARK_INVALID_ARGUMENT"
  | "ERR_TIDEMARK_OUT_OF_MEMORY"
  | "ERR_TIDEMARK_SEALED"
  | "ERR_TIDEMARK_LIMIT_EXCEEDED"
  | "ERR_TIDEMARK_STALE_REFERENCE"
  | "ERR_TIDEMARK_STALE_MARK"
  | "ERR_TIDEMARK_INVALID_ADDRESS"
  | "ERR_TIDEMARK_OUT_OF_BOUNDS"
  | "ERR_TIDEMARK_DISPOSED"
  | "ERR_TIDEMARK_REGION_ENDED"
  | "ERR_TIDEMARK_SCOPE_ENDED"
  | "ERR_TIDEMARK_RESURRECTION"
  | "ERR_TIDEMARK_INVALID_STRUCT"
  | "ERR_TIDEMARK_INVALID_MODULE"
  | "ERR_TIDEMARK_CORRUPTION"
  | "ERR_TIDEMARK_REENTRANT_CALL"
  | "ERR_TIDEMARK_DESTROY_HOOK"
  | "ERR_TIDEMARK_LOOP_CLOSED"
  | "ERR_TIDEMARK_LOOP_STATE"
  | "ERR_TIDEMARK_DUPLICATE_KIND"
  | "ERR_TIDEMARK_DEADLINE"
  | "ERR_TIDEMARK_EVENT_ABANDONED"
  | "ERR_TIDEMARK_BATON_BUSY"
  | "ERR_TIDEMARK_FIBER_STATE"
  | "ERR_TIDEMARK_FIBER_CANCELLED"
  | "ERR_TIDEMARK_CHANNEL_CLOSED"
  | "ERR_TIDEMARK_SOURCE";

/**
 * The base class of all errors of this package.
 *
 * @example
 * try { arena.allocate(-1); } catch (error) {
 *   if (error instanceof TidemarkError) console.log(error.code); // "ERR_TIDEMARK_INVALID_ARGUMENT"
 * }
 */
export abstract class TidemarkError extends Error {
  /** That of the class; the same across versions. */
  abstract readonly code: TidemarkErrorCode;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** An argument is outside what the call accepts: a size, a count, an alignment, a key, a field's value, an option. */
export class InvalidArgumentError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_INVALID_ARGUMENT";
}

/** The memory's maximum, or the engine, refused the pages that were needed. What was asked for was not done. */
export class OutOfMemoryError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_OUT_OF_MEMORY";
}

/** The runtime is sealed, and the request would have needed memory from the host. */
export class SealedError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_SEALED";
}

/**
 * A limit is reached: one that the program has set (an arena's bytes, the capacity of a pool, a fixed array or a queue, a
 * semaphore's permits), or one of Tidemark's own (elements of an array, timers). Or an array cannot grow, since a mark made after
 * it is open, or cannot be cut short, since it is an object of a heap.
 */
export class LimitExceededError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_LIMIT_EXCEEDED";
}

/** A cursor or ref points to a record whose memory has been reset, rewound, moved or freed since. */
export class StaleReferenceError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_STALE_REFERENCE";
}

/** A mark has been rewound past, or its arena reset since, or it is a mark of another arena. */
export class StaleMarkError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_STALE_MARK";
}

/**
 * An address at which no block in use begins: it has been freed already, lies inside a block, or belongs to someone else.
 * Nothing has been freed or moved, but what `freeMany` had freed before.
 */
export class InvalidAddressError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_INVALID_ADDRESS";
}

/** An index lies outside an array, or a byte range outside its bytes. */
export class OutOfBoundsError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_OUT_OF_BOUNDS";
}

/**
 * The runtime, or something of it (an arena, a pool, a heap, a collection, timers, what fibers wait for), has been disposed or
 * destroyed, or has ended with its parent.
 */
export class DisposedError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_DISPOSED";
}

/** A region was used after the event that had leased it ended. */
export class RegionEndedError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_REGION_ENDED";
}

/** A scope was asked for a handle, or read from its context, after it had ended, by itself or with its event. */
export class ScopeEndedError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_SCOPE_ENDED";
}

/**
 * A destroy hook has stored its object, or another that was collected with it, where something that lives could find it. Nothing
 * was stored: what is dead stays dead. Where nothing will live, as the whole heap ends, and under `"manual"` it is not asked for.
 */
export class ResurrectionError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_RESURRECTION";
}

/**
 * A struct declaration that cannot be laid out: no fields, a reserved field name, a type that is not a field type, a name given
 * to `ref()` that is another struct's, a struct with a destroy hook inside another, more than 1 MiB. Or a function given to
 * `ref()` that fails.
 */
export class InvalidStructError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_INVALID_STRUCT";
}

/**
 * The wasm module cannot be found, compiled or linked, is of another version or DEBUG mode, has a memory of its own, or static data
 * or a stack over the runtime's own; or the memory given to the runtime has no maximum.
 */
export class InvalidModuleError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_INVALID_MODULE";
}

/**
 * Memory breaks an invariant; the message names the first violation. `validate()` finds it, or an operation on a block whose
 * surroundings have been written over; the debug runtime finds far more of them, and may do so after the operation is done.
 */
export class CorruptionError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_CORRUPTION";
}

/**
 * A destroy hook has called what would change, or end, the very memory that its operation is about to reclaim; or a handler, a
 * fiber, a timer, a hook or a heap's own listener has asked a heap to collect, which happens between events only.
 */
export class ReentrantCallError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_REENTRANT_CALL";
}

/**
 * A destroy hook has thrown; what it threw, or the first of several, is the `cause`. The operation is done all the same:
 * every hook has run, and the memory has been reclaimed.
 *
 * @example
 * try { arena.reset(); } catch (error) {
 *   if (error instanceof DestroyHookError) console.error(error.cause); // what the hook threw; the arena is empty
 * }
 */
export class DestroyHookError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_DESTROY_HOOK";
}

/** The loop, or a scheduler of fibers, is closing or closed, and takes no more work; or the work was dropped by its close. */
export class LoopClosedError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_LOOP_CLOSED";
}

/**
 * A call that the loop's present state does not allow: running twice, running from inside a handler, running timers from a
 * callback of theirs, disposing of a loop's own timers, asking for the signal of an event that has ended.
 */
export class LoopStateError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_LOOP_STATE";
}

/** A kind of this name has a handler already. */
export class DuplicateKindError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_DUPLICATE_KIND";
}

/** An event has been in flight for longer than its kind's deadline: what its signal is aborted with. */
export class DeadlineError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_DEADLINE";
}

/**
 * The loop has stopped waiting for an event that was in flight for too long. Its region is kept for it, and used for nothing else,
 * until it settles after all.
 */
export class EventAbandonedError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_EVENT_ABANDONED";
}

/** Somebody waits for this baton already; it goes on waiting. A baton has one waiter at a time. */
export class BatonBusyError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_BATON_BUSY";
}

/**
 * A call that the state of a fiber, or of what fibers wait for, does not allow: joining oneself, waiting in `finally` after
 * a cancel, reading the context of a fiber that has ended, unlocking what is not locked, waiting twice for one operation.
 */
export class FiberStateError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_FIBER_STATE";
}

/** What a cancelled fiber's joiners get, and what its signal is aborted with. */
export class FiberCancelledError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_FIBER_CANCELLED";
}

/** The channel is closed: what was to be sent has not been, and will not be. */
export class ChannelClosedError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_CHANNEL_CLOSED";
}

/**
 * Why a source has ended before its stream did:
 *
 * | reason | what has happened |
 * |---|---|
 * | `"failed"` | the stream told of an error, or a `map` threw: it is the `cause`; or the bytes of a chunk that waited for room are gone |
 * | `"disconnected"` | the stream was closed before its end; a WebSocket, with a code, and another than 1000 |
 * | `"truncated"` | it ended in the midst of a message that is preceded by its length |
 * | `"too-long"` | a message is longer than the source takes |
 * | `"overrun"` | a stream that cannot be paused has sent more than may wait |
 * | `"unsupported"` | what came is neither bytes nor text |
 */
export type SourceFailure = "failed" | "disconnected" | "truncated" | "too-long" | "overrun" | "unsupported";

/** A source has ended before its stream did. All that came before has been handled. */
export class SourceError extends TidemarkError {
  readonly code = "ERR_TIDEMARK_SOURCE";

  constructor(
    readonly reason: SourceFailure,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
