import type { Clock, LatencyProbe } from "./latency.js";
import type { Recording } from "./recording.js";
import type { Observer, Subject } from "./subject.js";

/** Called now and then with the number of lines done. */
export type PlayProgress = (linesDone: number) => void;

/** Plays the whole recording as fast as the subject takes it, a socket read's worth of lines at a time. */
export async function playClosed(
  recording: Recording,
  subject: Subject,
  observer: Observer | undefined,
  progress?: PlayProgress,
): Promise<void> {
  const { lineCount } = recording;
  for (let first = 0; first < lineCount; ) {
    const last = recording.chunkEnd(first, lineCount);
    const done = subject.deliver(first, last, observer);
    if (done !== undefined) await done;
    progress?.(last);
    first = last;
  }
}

/**
 * Plays the whole recording at `rate` lines per second, whether or not the subject keeps up: what has become due while
 * it was busy is delivered together, as a socket would hand it over, and waits in the accounting from its own arrival.
 */
export async function playOpen(
  recording: Recording,
  subject: Subject,
  probe: LatencyProbe,
  rate: number,
  clock: Clock,
  progress?: PlayProgress,
): Promise<void> {
  const { lineCount } = recording;
  const interval = 1e9 / rate;
  const now = new Float64Array(1);
  clock.stamp(now, 0);
  const origin = now[0]!;
  probe.openLoop(origin, interval);
  for (let first = 0; first < lineCount; ) {
    const arrival = origin + first * interval;
    clock.stamp(now, 0);
    if (now[0]! < arrival) {
      const waited = clock.waitUntil(arrival);
      if (waited !== undefined) await waited;
      continue;
    }
    // At least `first` itself is due, also where the division rounds down.
    const due = Math.max(first + 1, Math.floor((now[0]! - origin) / interval) + 1);
    const last = recording.chunkEnd(first, Math.min(lineCount, due));
    const done = subject.deliver(first, last, probe);
    if (done !== undefined) await done;
    progress?.(last);
    first = last;
  }
}
