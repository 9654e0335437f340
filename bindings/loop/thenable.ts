const nativeThen = Promise.prototype.then;

/** Whether `value` is something to wait for. Reads its `then`, which may throw if that is an accessor. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === "object" && value !== null) || typeof value === "function") &&
    typeof (value as { then?: unknown }).then === "function"
  );
}

/**
 * Calls exactly one of the two, exactly once, never before it returns.
 *
 * The platform's own `then` promises that by itself. Any other is adopted by a promise that has it: a thenable may call
 * back at once, twice, or both ways.
 *
 * @throws {TypeError} if `value` has the platform's `then` and is no promise; then neither is ever called
 */
export function whenSettled(value: PromiseLike<unknown>, resolved: () => void, rejected: (error: unknown) => void) {
  const promise = value.then === nativeThen ? value : new Promise((resolve) => resolve(value));
  promise.then(resolved, rejected);
}
