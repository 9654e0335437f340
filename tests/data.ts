// The one helper that finds the recordings belongs to the benchmarks, which need it too.
export { dataPath, hasData } from "../bench/data.js";
