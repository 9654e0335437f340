// The watchdog's worker in browsers, a module of its own. The console of a worker is seen while its page is blocked.

import { serveSentinel } from "./sentinel.js";

const scope = globalThis as unknown as {
  postMessage(message: unknown): void;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
};

const handle = serveSentinel(
  (line) => console.warn(line),
  () => scope.postMessage("ready"),
);
scope.addEventListener("message", ({ data }) => handle(data));
