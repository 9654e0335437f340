import { createRuntime, createTimers, type Runtime, type Timers, type TimersOptions } from "tidemark";
import { SimulatedHost } from "./simulation.js";

/** A host that knows which of its timers keep the process alive, and counts what it is asked for. */
export class TimerHost extends SimulatedHost {
  readonly alarms = new Map<() => void, { readonly at: number; readonly keepsAlive: boolean }>();
  readings = 0;
  set = 0;

  override now(): number {
    this.readings++;
    return super.now();
  }

  override after(milliseconds: number, callback: () => void, keepsAlive = true): () => void {
    this.set++;
    const ring = () => {
      this.alarms.delete(ring);
      callback();
    };
    const cancel = super.after(milliseconds, ring);
    this.alarms.set(ring, { at: this.time + milliseconds, keepsAlive });
    return () => {
      this.alarms.delete(ring);
      cancel();
    };
  }

  /** True if a process would go on because of these timers. */
  get keepsAlive(): boolean {
    return this.hops.length > 0 || [...this.alarms.values()].some(({ keepsAlive }) => keepsAlive);
  }
}

export interface TimersBench {
  readonly runtime: Runtime;
  readonly host: TimerHost;
  readonly timers: Timers;
  /** What fired, in order. */
  readonly fired: unknown[];
  /** Notes what it is called with. */
  readonly note: (payload: unknown) => void;
  readonly errors: unknown[];
}

/** Runs `body` with timers on a simulated host, checks the wheel, and disposes of them. */
export async function withTimers(
  options: Omit<TimersOptions, "onError"> & {
    readonly debug?: boolean;
    /** Undefined: none; errors are noted if it is left out. */
    readonly onError?: TimersOptions["onError"] | undefined;
  },
  body: (bench: TimersBench) => unknown,
): Promise<void> {
  using runtime = await createRuntime({ debug: options.debug ?? false });
  const host = new TimerHost();
  const errors: unknown[] = [];
  const { debug: _, ...others } = options;
  const onError = (error: unknown) => errors.push(error);
  using timers = createTimers(runtime, { host, onError, ...others } as TimersOptions);
  const fired: unknown[] = [];
  await body({ runtime, host, timers, fired, note: (payload) => fired.push(payload), errors });
  if (!timers.disposed) timers.validate();
  runtime.validate();
}
