/** `npm start`: replays a market feed through Tidemark and through plain TypeScript, and compares them. */
import { EXIT, endWithItsReaders, processOutput } from "../commandLine.js";
import { replay } from "./replay.js";

endWithItsReaders();
const interruption = new AbortController();
process.once("SIGINT", () => interruption.abort(EXIT.interrupted));
process.once("SIGTERM", () => interruption.abort(EXIT.terminated));

process.exitCode = await replay(
  process.argv.slice(2),
  {
    ...processOutput,
    terminal: process.stderr.isTTY ? process.stderr : undefined,
  },
  interruption.signal,
);
