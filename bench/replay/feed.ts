import { Worker } from "node:worker_threads";
import type { GeneratorOptions } from "./generator.js";
import { type Recording, readRecording, recordingOf } from "./recording.js";

/** Where the feed comes from: the files of one recording, in order, or the generator. */
export type FeedSource = { readonly files: readonly string[] } | { readonly generated: GeneratorOptions };

/**
 * Loads a feed into memory.
 *
 * @throws {RecordingError} a file cannot be read
 */
export async function loadFeed(source: FeedSource): Promise<Recording> {
  if ("files" in source) return readRecording(source.files);
  const { seed, messages } = source.generated;
  return recordingOf(`generated feed, seed ${seed}`, await generateInThread({ seed, messages }));
}

/**
 * Generating leaves much garbage and a grown young generation behind, which would change how often the subject's own
 * garbage is collected. A thread has a heap of its own, which ends with it; the feed's bytes change hands uncopied.
 */
function generateInThread(options: GeneratorOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL("./generatorThread.js", import.meta.url), { workerData: options });
    thread.once("message", (bytes: Uint8Array<ArrayBuffer>) => resolve(Buffer.from(bytes.buffer)));
    thread.once("error", reject);
  });
}
