/** The suites of the project, in the order in which they are run. */

/** Each file exports its suite as default; a child loads only the file of its own case. */
export const suiteUrls: readonly string[] = [
  "./allocation.js",
  "./pool.js",
  "./heap.js",
  "./collector.js",
  "./loop.js",
  "./timers.js",
  "./fibers.js",
  "./feed.js",
].map((path) => new URL(path, import.meta.url).href);
