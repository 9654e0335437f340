import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import { CollectionWatch } from "../collections.js";
import { ConnectionFailure } from "./connectionFailure.js";
import { ConnectionLost, createLiveClient, type LiveClient } from "./liveClient.js";
import type { SubjectReport } from "./measure.js";
import type { SubjectName } from "./subject.js";
import { VerifyingWatcher, Watcher } from "./watcher.js";

export interface FollowOptions {
  readonly url: string;
  /** Hold the book against the feed's own best prices, in the same pass. */
  readonly verify: boolean;
  /** Stop after so many messages; absent: when the server has no more. */
  readonly limit?: number | undefined;
  /** How many will come, where that is known: for the progress, and for the latencies. */
  readonly expected?: number | undefined;
}

/** Told, in words, of a connection that was lost and is asked for again. */
export type Notice = (text: string) => void;

/** Reconnects in a row, none of which has lasted, and the milliseconds before the first; they double. */
const ATTEMPTS = 5;
/** A connection has lasted if it was there for so many milliseconds: one that is lost sooner, again and again, is not to be had. */
const LASTING = 5000;
/** Milliseconds that a server has to answer an attempt. */
const PATIENCE = 10_000;
const FIRST_DELAY = 100;

/**
 * Follows a feed over a WebSocket to its end, and measures it as it comes: one pass, without warming up.
 *
 * A connection that is lost is asked for again, a bounded number of times; the book then waits for a snapshot, since what
 * was missed is not known. A connection that cannot be had at all is not asked for again.
 *
 * @throws {ConnectionFailure} there is no connection, or none any more
 */
export async function follow(
  name: SubjectName,
  options: FollowOptions,
  notice: Notice,
  progress?: (share: number) => void,
): Promise<SubjectReport> {
  const { verify, limit, expected } = options;
  const watcher = new (verify ? VerifyingWatcher : Watcher)(limit, expected, progress);
  const client = await createLiveClient(name, watcher);
  watcher.onLimit = () => client.stop();
  const watch = new CollectionWatch();
  watch.openWindow();
  try {
    const connections = await connect(client, watcher, options.url, notice);
    watch.closeWindow();
    const book = client.book();
    return {
      name,
      messagesPerSecond: book.counters.messages / watcher.probe.seconds,
      latencyMicros: watcher.probe.summary(),
      collections: await watch.totals(),
      ...memoryOf(client),
      feedBytes: client.bytes,
      book,
      refused: { count: client.refusals.count, first: [...client.refusals.first] },
      verification: watcher.totals(),
      disorder: [], // whoever serves the feed knows
      connection: { url: options.url, connections, pauses: client.pauses },
    };
  } finally {
    watch.dispose();
    await client.dispose();
  }
}

/** What became of the attempts, of which `had` were answered, each by a connection that did not last. */
function describeAttempts(had: number): string {
  if (had === 0) return `could not be had again in ${ATTEMPTS} attempts`;
  return `was had again in ${had} of ${ATTEMPTS} attempts, each time for less than ${LASTING / 1000} seconds`;
}

/** Returns how many connections it took. */
async function connect(client: LiveClient, watcher: Watcher, url: string, notice: Notice): Promise<number> {
  let attempts = 0;
  let had = 0;
  for (let connections = 1; ; ) {
    const before = watcher.messages;
    let openedAt = Number.POSITIVE_INFINITY;
    try {
      watcher.restart();
      const socket = new WebSocket(url, { perMessageDeflate: false, handshakeTimeout: PATIENCE });
      socket.once("open", () => {
        openedAt = performance.now();
      });
      await client.follow(socket);
      return connections;
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      const { messages } = watcher;
      if (messages === 0) throw new ConnectionFailure(`${url} cannot be followed: ${error.message}`);
      if (performance.now() - openedAt >= LASTING) attempts = had = 0;
      else if (attempts > 0 && openedAt < Number.POSITIVE_INFINITY) had++;
      const after = `after ${messages.toLocaleString("en-US")} messages`;
      if (attempts === ATTEMPTS) {
        throw new ConnectionFailure(`${url} was lost ${after}, and ${describeAttempts(had)}: ${error.message}`);
      }
      if (messages > before) {
        connections++;
        notice(`${url} was lost ${after}: ${error.message}; connecting again, and waiting for a snapshot`);
      }
      await sleep(FIRST_DELAY * 2 ** attempts);
      attempts++;
    }
  }
}

function memoryOf(client: LiveClient): Pick<SubjectReport, "heapBytes" | "linearBytes" | "residentBytes"> {
  const residentBytes = process.memoryUsage.rss();
  globalThis.gc?.();
  return { heapBytes: process.memoryUsage().heapUsed, linearBytes: client.linearBytes(), residentBytes };
}
