// Plays scenarios of the loop by their seeds: `npm run simulate -- --seeds 100000`, or one alone: `--seed 42 --trace`.

import { fileURLToPath } from "node:url";
import { SingleBar } from "cli-progress";
import { Command, InvalidArgumentError } from "commander";
import { build } from "esbuild";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));

const wholeFrom = (least) => (text) => {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new InvalidArgumentError(`It must be a whole number from ${least}.`);
};

const options = new Command("simulate")
  .description("plays scenarios of the event loop, each decided by a seed, and stops at the first that goes wrong")
  .option("--seed <number>", "play this one alone", wholeFrom(0))
  .option("--from <number>", "the first of several", wholeFrom(0), 0)
  .option("--seeds <count>", "how many", wholeFrom(1), 10_000)
  .option("--trace", "write all that happens in the first")
  .parse()
  .opts();

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
const { playSeeds } = await import(outfile);

Error.stackTraceLimit = options.trace ? 20 : 1; // the debug runtime takes one at each allocation
const isAlone = options.seed !== undefined;
const [first, seeds] = isAlone ? [options.seed, 1] : [options.from, options.seeds];
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
