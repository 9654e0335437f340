import { channel } from "node:diagnostics_channel";
import { Worker } from "node:worker_threads";
import { messageOf } from "../arguments.js";
import type { Platform, PlatformWorker, WorkerEvents } from "../platform.js";

function startWatchdog(events: WorkerEvents): PlatformWorker {
  // Without the flags of the process, which may ask for what a worker must not have, and with little memory.
  const worker = new Worker(new URL("./watchdogWorker.node.js", import.meta.url), {
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 },
  });
  worker.on("message", () => events.ready());
  worker.on("error", (error) => events.failed(messageOf(error)));
  worker.on("exit", (code) => events.failed(`it has ended with code ${code}`));
  worker.unref();
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer as never),
    end() {
      worker.removeAllListeners();
      void worker.terminate();
    },
  };
}

/** What is Node's. */
export const nodePlatform: Platform = { startWatchdog, diagnosticsChannel: channel };
