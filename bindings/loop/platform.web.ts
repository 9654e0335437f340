import type { Platform, PlatformWorker, WorkerEvents } from "../platform.js";

function startWatchdog(events: WorkerEvents): PlatformWorker {
  // In this very form, which bundlers recognise; a file of the page's own origin is what most policies allow.
  const worker = new Worker(new URL("./watchdogWorker.js", import.meta.url), { type: "module" });
  worker.onmessage = () => events.ready();
  worker.onerror = ({ message }) => events.failed(message ?? "its file could not be loaded");
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer as Transferable[]),
    end() {
      worker.onmessage = null;
      worker.onerror = null;
      worker.terminate();
    },
  };
}

/** What is the browsers'. */
export const webPlatform: Platform = { startWatchdog };
