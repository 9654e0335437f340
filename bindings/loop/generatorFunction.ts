const prototype = Object.getPrototypeOf(function* () {});

/** Whether calling it makes a generator: quick for functions of this realm, and right for others. */
export function isGeneratorFunction(body: unknown): boolean {
  return typeof body === "function" && (Object.getPrototypeOf(body) === prototype || isForeign(body));
}

function isForeign(body: unknown): boolean {
  return Object.prototype.toString.call(body) === "[object GeneratorFunction]";
}
