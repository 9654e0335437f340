const prototype = Object.getPrototypeOf(function* () {});

/** Whether calling it makes a generator: quick for functions of this realm, and right for others. */
export function isGeneratorFunction(body: unknown): boolean {
  return typeof body === "function" && (Object.getPrototypeOf(body) === prototype || isForeign(body));
}

function isForeign(body: unknown): boolean {
  return Object.prototype.toString.call(body) === "[object GeneratorFunction]";
}

/** Whether it is what calling a generator function, async or not, makes: of which nothing has run yet. */
export function isGenerator(value: unknown): boolean {
  if (typeof value !== "object" || typeof (value as Iterator<unknown> | null)?.next !== "function") return false;
  return /Generator\]$/.test(Object.prototype.toString.call(value));
}
