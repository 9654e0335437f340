// The watchdog's worker in Node. Its console would go through the thread that is blocked, so it writes to the file itself.

import { writeSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import { serveSentinel } from "./sentinel.js";

const STANDARD_ERROR = 2;

function print(line: string): void {
  try {
    writeSync(STANDARD_ERROR, `${line}\n`);
  } catch {
    // A pipe that is full or closed: a line is lost, and nothing else.
  }
}

parentPort?.on(
  "message",
  serveSentinel(print, () => parentPort?.postMessage("ready")),
);
