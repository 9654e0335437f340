/** The program of the thread that generates a feed: options in, bytes out. */
import { parentPort, workerData } from "node:worker_threads";
import { type GeneratorOptions, generateFeed } from "./generator.js";

// A copy with an ArrayBuffer of its own, whole: only such a one can be handed over.
const bytes = new Uint8Array(generateFeed(workerData as GeneratorOptions));
parentPort?.postMessage(bytes, [bytes.buffer]);
