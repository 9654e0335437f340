import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The folder of real recordings and traces, which is not part of the project: the variable `TIDEMARK_DATA`, or
 * `../shared/data` beside the checkout. `undefined`, with a loud warning, where neither exists.
 */
function findDataFolder(): string | undefined {
  const folder =
    process.env.TIDEMARK_DATA ?? resolve(fileURLToPath(new URL("../../shared/data", import.meta.url)));
  if (existsSync(folder)) return folder;
  console.warn(`\n*** NO RECORDINGS at ${folder}: tests on real data are SKIPPED. Set TIDEMARK_DATA. ***\n`);
  return undefined;
}

const dataFolder = findDataFolder();

/** True where the recordings are present; pass it to `describe.runIf`. */
export const hasData = dataFolder !== undefined;

/** The path of one recording, for example `orderbook/binance-spot/btcusdt_20240808.gz`. Call it where {@link hasData}. */
export function dataPath(name: string): string {
  if (dataFolder === undefined) throw new Error(`no recordings: ${name} was asked for without TIDEMARK_DATA`);
  return resolve(dataFolder, name);
}
