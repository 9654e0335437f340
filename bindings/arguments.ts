import { InvalidArgumentError, type TidemarkError } from "./errors.js";

/**
 * Checks a whole number that a caller has given.
 *
 * @param what the argument's name, for the message
 * @returns `value`
 * @throws {InvalidArgumentError} if it is no integer from `minimum` to `maximum`
 */
export function checkInteger(what: string, value: number, minimum: number, maximum: number): number {
  if (Number.isInteger(value) && value >= minimum && value <= maximum) return value;
  throw new InvalidArgumentError(
    `${what} must be a whole number from ${minimum} to ${maximum}, but is ${describe(value)}`,
  );
}

/** @throws {InvalidArgumentError} if it is no whole number from 1 to `maximum`, or no power of two */
export function checkPowerOfTwo(what: string, value: number, maximum: number): number {
  checkInteger(what, value, 1, maximum);
  if ((value & (value - 1)) === 0) return value;
  throw new InvalidArgumentError(`${what} must be a power of two, but is ${value}`);
}

/** The errors of checks, but where what is checked has one of its own. */
type RefusalClass = new (message: string) => TidemarkError;

/** @throws {InvalidArgumentError}, or another error, if it is no object, or an array */
export function assertObject(what: string, value: unknown, Refusal: RefusalClass = InvalidArgumentError): void {
  if (typeof value !== "object" || value === null || isArray(value)) {
    throw new Refusal(`${what} must be an object, but is ${describe(value)}`);
  }
}

/** All names of some options: the compiler sees to it that none is missing, and none is there that is no option. */
export type NamesOf<Options> = { readonly [Name in keyof Options]-?: true };

/**
 * Checks that options are an object, and that it has no name of its own which is no option's: a misspelt one would do nothing, and
 * nobody would know; nor would they of something else in their place, such as a signal or a promise, which is an object of a class
 * without an option. What else the object inherits, and symbols, are its own affair.
 *
 * @param what whose options they are, for the message
 * @throws {InvalidArgumentError}, or another error, naming the first that is unknown and all that are known
 */
export function assertOptions(
  what: string,
  options: object,
  names: Readonly<Record<string, true>>,
  Refusal: RefusalClass = InvalidArgumentError,
): void {
  assertObject(what, options, Refusal);
  for (const name in options) {
    if (names[name] === true || !Object.hasOwn(options, name)) continue;
    throw new Refusal(`${what} has the unknown option ${describe(name)}: ${known(names)}`);
  }
  if (isPlain(options) || Object.keys(names).some((name) => name in options)) return;
  throw new Refusal(`${what} is ${describe(options)} of a class that has no option: ${known(names)}`);
}

function known(names: object): string {
  return `known are ${Object.keys(names).join(", ")}`;
}

/** Whether its prototype is that of plain objects, in whichever realm they were made, or none. */
export function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** @throws {InvalidArgumentError} if it is neither true nor false */
export function checkFlag(what: string, value: boolean): boolean {
  if (typeof value === "boolean") return value;
  throw new InvalidArgumentError(`${what} must be true or false, but is ${describe(value)}`);
}

/** @throws {InvalidArgumentError} if it is no function */
export function assertFunction(what: string, value: unknown): void {
  if (typeof value !== "function")
    throw new InvalidArgumentError(`${what} must be a function, but is ${describe(value)}`);
}

/** A value as a message shows it: short, and never throwing. */
export function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(shortened(value));
  if (typeof value === "bigint") return `${shortened(String(value))}n`;
  if (typeof value === "object" && value !== null) return describeObject(value);
  if (typeof value === "function") return "a function";
  return shortened(String(value));
}

function shortened(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

/** What was thrown, or given as a reason, as a message shows it; never throwing, whatever it is. */
export function messageOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown);
  } catch {
    return "something that has no text";
  }
}

/** A promise is told from others, since most often an `await` has been forgotten. */
function describeObject(value: object): string {
  if (isArray(value)) return "an array";
  return isInstance(value, Promise) ? "a promise" : "an object";
}

/** As `Array.isArray`, which throws for a proxy that has been revoked. */
function isArray(value: object): boolean {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

/** Likewise, for `instanceof`. */
export function isInstance<Instance>(
  value: unknown,
  of: abstract new (...given: never[]) => Instance,
): value is Instance {
  try {
    return value instanceof of;
  } catch {
    return false;
  }
}

const typedArray: object = Object.getPrototypeOf(Uint8Array.prototype);
const getterOf = (name: PropertyKey) => Object.getOwnPropertyDescriptor(typedArray, name)!.get!;
const kindOf = getterOf(Symbol.toStringTag);
const lengthOf = getterOf("length");

/** The elements of a typed array of this kind, of any realm, as many as there are, whatever its properties say; undefined for others. */
export function lengthOfTyped(value: unknown, kind: "Uint8Array" | "Uint32Array"): number | undefined {
  return kindOf.call(value) === kind ? lengthOf.call(value) : undefined;
}
