const prototype = Object.getPrototypeOf(function* () {});

/** Whether calling it makes a generator: quick for functions of this realm, and right for others. */
export function isGeneratorFunction(body: unknown): boolean {
  return typeof body === "function" && (Object.getPrototypeOf(body) === prototype || isForeign(body));
}

function isForeign(body: unknown): boolean {
  return Object.prototype.toString.call(body) === "[object GeneratorFunction]";
}

/**
 * Whether it is what calling a generator function, async or not, makes: of which nothing has run yet. By its tag alone: to read its
 * `next` may do something, such as take a handle for what the `next` of a heap's object refers to.
 */
export function isGenerator(value: unknown): boolean {
  return typeof value === "object" && /^\[object (Async)?Generator\]$/.test(Object.prototype.toString.call(value));
}
