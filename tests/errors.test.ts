import { readFileSync } from "node:fs";
import * as tidemark from "tidemark";
import { TidemarkError, type TidemarkErrorCode } from "tidemark";
import { describe, expect, expectTypeOf, test } from "vitest";

/** The code of each class, which stays what it is: programs compare it. */
const codes = {
  InvalidArgumentError: "ERR_TIDEMARK_INVALID_ARGUMENT",
  OutOfMemoryError: "ERR_TIDEMARK_OUT_OF_MEMORY",
  SealedError: "ERR_TIDEMARK_SEALED",
  LimitExceededError: "ERR_TIDEMARK_LIMIT_EXCEEDED",
  StaleReferenceError: "ERR_TIDEMARK_STALE_REFERENCE",
  StaleMarkError: "ERR_TIDEMARK_STALE_MARK",
  InvalidAddressError: "ERR_TIDEMARK_INVALID_ADDRESS",
  OutOfBoundsError: "ERR_TIDEMARK_OUT_OF_BOUNDS",
  DisposedError: "ERR_TIDEMARK_DISPOSED",
  RegionEndedError: "ERR_TIDEMARK_REGION_ENDED",
  ScopeEndedError: "ERR_TIDEMARK_SCOPE_ENDED",
  ResurrectionError: "ERR_TIDEMARK_RESURRECTION",
  InvalidStructError: "ERR_TIDEMARK_INVALID_STRUCT",
  InvalidModuleError: "ERR_TIDEMARK_INVALID_MODULE",
  CorruptionError: "ERR_TIDEMARK_CORRUPTION",
  ReentrantCallError: "ERR_TIDEMARK_REENTRANT_CALL",
  DestroyHookError: "ERR_TIDEMARK_DESTROY_HOOK",
  LoopClosedError: "ERR_TIDEMARK_LOOP_CLOSED",
  LoopStateError: "ERR_TIDEMARK_LOOP_STATE",
  DuplicateKindError: "ERR_TIDEMARK_DUPLICATE_KIND",
  DeadlineError: "ERR_TIDEMARK_DEADLINE",
  EventAbandonedError: "ERR_TIDEMARK_EVENT_ABANDONED",
  BatonBusyError: "ERR_TIDEMARK_BATON_BUSY",
  FiberStateError: "ERR_TIDEMARK_FIBER_STATE",
  FiberCancelledError: "ERR_TIDEMARK_FIBER_CANCELLED",
  ChannelClosedError: "ERR_TIDEMARK_CHANNEL_CLOSED",
  SourceError: "ERR_TIDEMARK_SOURCE",
} as const;

const exported = new Map<string, unknown>(Object.entries(tidemark));

describe("errors", () => {
  test.each(Object.entries(codes))("%s is exported, has its name and the code %s", (name, code) => {
    const ErrorClass = exported.get(name) as typeof tidemark.InvalidArgumentError;
    // The first argument of one of them is its reason; it is a message to all others.
    const error = new ErrorClass("failed", "failed" as never);
    expect(error).toBeInstanceOf(TidemarkError);
    expect(error).toMatchObject({ name, code, message: "failed" });
  });

  test("of the package are these, and no others", () => {
    const isError = (value: unknown) => typeof value === "function" && value.prototype instanceof TidemarkError;
    const names = [...exported.keys()].filter((name) => isError(exported.get(name)));
    expect(names.sort()).toEqual(Object.keys(codes).sort());
    expectTypeOf<(typeof codes)[keyof typeof codes]>().toEqualTypeOf<TidemarkErrorCode>();
  });

  test("are all in the README's list", () => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    const list = /^`ERR_TIDEMARK_` \+ ([^.]+)\./m.exec(readme)![1]!;
    const named = [...list.matchAll(/`(\w+)`/g)].map(([, code]) => `ERR_TIDEMARK_${code}`);
    expect(named.sort()).toEqual(Object.values(codes).sort());
  });
});
