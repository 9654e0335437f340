import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, resolve } from "node:path";

/**
 * The folder of real recordings and traces, which is no part of the project: the variable `TIDEMARK_DATA`, or
 * `../shared/data` beside the checkout. `undefined`, with a loud warning, where there is none.
 */
function findDataFolder(): string | undefined {
  const project = dirname(createRequire(import.meta.url).resolve("tidemark/package.json"));
  const folder = process.env.TIDEMARK_DATA ?? resolve(project, "../shared/data");
  if (existsSync(folder)) return folder;
  console.warn(`\n*** NO RECORDINGS at ${folder}: what needs real data is SKIPPED. Set TIDEMARK_DATA. ***\n`);
  return undefined;
}

const dataFolder = findDataFolder();

/** True where the recordings are present. */
export const hasData = dataFolder !== undefined;

/** The path of one recording, for example `orderbook/binance-spot/btcusdt_20240808.gz`. Call it where {@link hasData}. */
export function dataPath(name: string): string {
  if (dataFolder === undefined) throw new Error(`no recordings: ${name} was asked for without TIDEMARK_DATA`);
  return resolve(dataFolder, name);
}
