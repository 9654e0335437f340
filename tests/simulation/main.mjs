// Plays scenarios of the loop by their seeds: `npm run simulate -- --seeds 100000`, or one alone: `--seed 42 --trace`.

import { fileURLToPath, pathToFileURL } from "node:url";
import { SingleBar } from "cli-progress";
import { Command, Option } from "commander";
import { build } from "esbuild";
import { endWithItsReaders, readOwnCommandLine, wholeNumber } from "../../build/bench/commandLine.js";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));

/** So many seeds decide differently: behind them the first ones come again. */
const SEEDS = 2 ** 32;
const seed = wholeNumber(0, SEEDS - 1);

endWithItsReaders();
const program = new Command("npm run simulate --")
  .description("Plays scenarios of the event loop, each decided by a seed, and stops at the first that goes wrong.")
  .addOption(new Option("--seed <number>", "play this one alone").argParser(seed).conflicts(["from", "seeds"]))
  .option("--from <number>", "the first of several", seed, 0)
  .option("--seeds <count>", "how many", wholeNumber(1, SEEDS), 10_000)
  .addOption(new Option("--trace", "play the first alone, and write all that happens in it").conflicts("seeds"))
  .addHelpText(
    "after",
    `
Exit status:
  0    all is as it should be
  1    a scenario goes wrong
  2    an option is bad, or the output cannot be written
  130  interrupted (Ctrl-C)`,
  );
const options = readOwnCommandLine(program, (command) => command.opts());

const outfile = at("../../build/simulation.js");
await build({
  entryPoints: [at("world.ts")],
  outfile,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  packages: "external",
  sourcemap: "inline",
});
const { playSeeds } = await import(pathToFileURL(outfile));

Error.stackTraceLimit = options.trace ? 20 : 1; // the debug runtime takes one at each allocation
const isAlone = options.seed !== undefined || options.trace;
const first = options.seed ?? options.from;
const seeds = isAlone ? 1 : options.seeds;
const bar =
  !isAlone && process.stderr.isTTY ? new SingleBar({ format: "{bar} {value}/{total} {eta_formatted}" }) : undefined;
process.once("SIGINT", () => {
  bar?.stop(); // which gives the terminal back as it was
  process.exit(130);
});
const begin = performance.now();
try {
  bar?.start(seeds, 0);
  await playSeeds(
    { first, count: seeds, traced: options.trace ? first : undefined },
    { passed: () => bar?.increment(), traced: (trace) => console.log(trace.join("\n")) },
  );
  bar?.stop();
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  console.log(`${seeds} from seed ${first} on: all as it should be, in ${seconds} s`);
} catch (error) {
  bar?.stop();
  console.error(error.message);
  process.exitCode = 1;
}
