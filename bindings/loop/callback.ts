import { InvalidArgumentError } from "../errors.js";
import { isGenerator } from "./generatorFunction.js";
import { isThenable, whenSettled } from "./thenable.js";

/** For what nobody wants to know. */
export function ignore(): void {}

/**
 * Has `rejected` told if what a callback of the program's has returned is a promise, or any other thenable, and rejects.
 *
 * @throws what the thenable's own `then` throws when it is looked up
 * @throws {InvalidArgumentError} if it is a generator: the callback was a generator function, and has done nothing
 */
export function watchAnswer(answer: unknown, rejected: (error: unknown) => void): void {
  if (isThenable(answer)) whenSettled(answer, ignore, rejected);
  else if (isGenerator(answer)) {
    throw new InvalidArgumentError(
      "a callback has returned a generator, of which nothing would run: spawn a fiber in it",
    );
  }
}

/** Calls back. What that throws is for `thrown`; what the promise that it returns rejects with, later, for `rejected`. */
export function callBack(
  callback: () => unknown,
  thrown: (error: unknown) => void,
  rejected: (error: unknown) => void = thrown,
): void {
  try {
    watchAnswer(callback(), rejected);
  } catch (error) {
    thrown(error);
  }
}

/** Leaves an error to the platform, as a rejection that nobody has handled; never throws here. */
export function stray(error: unknown): void {
  void Promise.reject(error);
}
