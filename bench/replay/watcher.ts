import { ArrivalProbe } from "./arrivalProbe.js";
import { MonotonicClock } from "./latency.js";
import type { LiveObserver } from "./liveClient.js";
import { LiveVerification } from "./liveVerification.js";
import type { VerificationTotals } from "./oracle.js";
import type { TickerMessage } from "./subject.js";

/** Latencies that are kept where nobody knows how many messages there will be. */
const LATENCIES = 1_000_000;

/** Messages from one telling of the progress to the next: a power of two. */
const PROGRESS_STEP = 1024;

/** Watches a live client at work: counts, times, and says when it is enough. */
export class Watcher implements LiveObserver {
  readonly probe: ArrivalProbe;
  /** Messages that were handled. */
  messages = 0;
  /** Called when as many messages were handled as should be. */
  onLimit: () => void = () => {};
  readonly #limit: number;
  readonly #expected: number | undefined;
  readonly #progress: ((share: number) => void) | undefined;

  /**
   * @param limit how many messages are enough
   * @param expected how many will come, where that is known
   */
  constructor(limit: number | undefined, expected: number | undefined, progress?: (share: number) => void) {
    this.probe = new ArrivalProbe(new MonotonicClock(), Math.min(limit ?? expected ?? LATENCIES, 10 * LATENCIES));
    this.#limit = limit ?? Number.POSITIVE_INFINITY;
    this.#expected = limit ?? expected;
    this.#progress = progress;
  }

  /** Another connection begins. */
  restart(): void {
    this.probe.forget();
  }

  arrive(): void {
    this.probe.arrive();
  }

  begin(): void {}

  end(): void {
    this.probe.end();
    this.messages++;
    if ((this.messages & (PROGRESS_STEP - 1)) === 0 && this.#expected !== undefined) {
      this.#progress?.(Math.min(1, this.messages / this.#expected));
    }
    if (this.messages === this.#limit) this.onLimit();
  }

  totals(): VerificationTotals | null {
    return null;
  }
}

/** Holds the book against the feed's own best prices, too. */
export class VerifyingWatcher extends Watcher {
  readonly #verification = new LiveVerification();

  override restart(): void {
    super.restart();
    this.#verification.restart();
  }

  verify(updateId: number, bidPrice: number, bidQuantity: number, askPrice: number, askQuantity: number): void {
    this.#verification.verify(updateId, bidPrice, bidQuantity, askPrice, askQuantity);
  }

  ticker(ticker: TickerMessage): void {
    this.#verification.ticker(ticker);
  }

  override totals(): VerificationTotals {
    return this.#verification.totals();
  }
}
