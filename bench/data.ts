import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, resolve } from "node:path";

/** Where recordings are looked for that no variable tells of; from the project's own folder on. */
const DEFAULT_FOLDER = "../shared/data";

/**
 * The folder of real recordings and traces, which is no part of the project and which the variable `TIDEMARK_DATA` names.
 * `undefined`, with a loud warning, where there is none.
 */
function findDataFolder(): string | undefined {
  const project = dirname(createRequire(import.meta.url).resolve("tidemark/package.json"));
  const folder = process.env.TIDEMARK_DATA ?? resolve(project, DEFAULT_FOLDER);
  if (existsSync(folder)) return folder;
  const place = process.env.TIDEMARK_DATA === undefined ? "" : ` at ${folder}`;
  console.warn(
    `\n*** NO RECORDINGS${place}: what needs real data is SKIPPED. Set TIDEMARK_DATA to their folder. ***\n`,
  );
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
