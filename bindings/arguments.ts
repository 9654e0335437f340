import { InvalidArgumentError } from "./errors.js";

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

/** @throws {InvalidArgumentError} if it is no object */
export function assertObject(what: string, value: unknown): void {
  if (typeof value !== "object" || value === null) {
    throw new InvalidArgumentError(`${what} must be an object, but is ${describe(value)}`);
  }
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
  if (typeof value === "object" && value !== null) return isArray(value) ? "an array" : "an object";
  if (typeof value === "function") return "a function";
  return shortened(String(value));
}

function shortened(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

/** As `Array.isArray`, which throws for a proxy that has been revoked. */
function isArray(value: object): boolean {
  try {
    return Array.isArray(value);
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
