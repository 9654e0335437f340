/** `npm run replay`: replays recorded allocations through allocators inside wasm, and compares them. */
import { EXIT, endWithItsReaders, processOutput } from "../commandLine.js";
import { replayTraces } from "./replay.js";

endWithItsReaders();
const interruption = new AbortController();
process.once("SIGINT", () => interruption.abort(EXIT.interrupted));
process.once("SIGTERM", () => interruption.abort(EXIT.terminated));

process.exitCode = await replayTraces(
  process.argv.slice(2),
  {
    ...processOutput,
    terminal: process.stderr.isTTY ? process.stderr : undefined,
  },
  interruption.signal,
);
