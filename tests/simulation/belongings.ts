import type { EventContext, Heap, Region, Scope } from "tidemark";
import { array, DisposedError, f64, RegionEndedError, ref, ScopeEndedError, struct, u32 } from "tidemark";
import type { Chance } from "./chance.js";
import type { EventRecord, Ledger } from "./ledger.js";

const Reading = struct("Reading", { id: u32, value: f64 });
export const Leaf = struct("Leaf", { value: f64, next: ref("Leaf"), children: array(ref("Leaf"), 2) });

/** What an event has in its region and its scope, and whether it is still there. */
export class Belongings {
  readonly #checks: (() => boolean)[] = [];
  #region: Region | undefined;
  #scope: Scope | undefined;

  constructor(
    readonly ledger: Ledger,
    readonly event: EventRecord,
    readonly context: EventContext<EventRecord>,
    readonly memory: { readonly disposed: boolean },
  ) {}

  /** Writes something into the region. Throws what the region throws. */
  write(chance: Chance): void {
    const { context, event, ledger } = this;
    const { region } = context;
    if (!event.leased) {
      event.leased = true;
      ledger.counts.leased++;
      const { used } = region.stats();
      ledger.assert(used === 0, `event ${event.id} was given a region with ${used} bytes of another's`);
    }
    ledger.assert(this.#region === undefined || this.#region === region, `event ${event.id} was given a second region`);
    this.#region = region;
    const seal = event.id * 7 + this.#checks.length;
    switch (chance.weighed({ record: 4, bytes: 4, text: 3, array: 3, large: 1 })) {
      case "record": {
        const reading = region.new(Reading);
        reading.id = seal;
        reading.value = seal / 2;
        this.#checks.push(() => reading.id === seal && reading.value === seal / 2);
        break;
      }
      case "bytes":
        this.#writeBytes(chance.between(1, 900), seal);
        break;
      case "large":
        this.#writeBytes(chance.between(4_000, 400_000), seal);
        break;
      case "text": {
        const text = `event ${event.id}, seal ${seal}`;
        const bytes = region.text(text);
        this.#checks.push(() => bytes.toString() === text);
        break;
      }
      case "array": {
        const length = chance.between(1, 40);
        const values = region.array(f64, length);
        for (let index = 0; index < length; index++) values.set(index, seal + index);
        this.#checks.push(() => values.at(0) === seal && values.at(length - 1) === seal + length - 1);
        break;
      }
    }
  }

  #writeBytes(length: number, seal: number): void {
    const bytes = this.#region!.bytes(length);
    const byte = seal & 0xff;
    this.ledger.assert(
      bytes.get(0) === 0 && bytes.get(length - 1) === 0,
      `event ${this.event.id} was given used memory`,
    );
    bytes.set(0, byte);
    bytes.set(length - 1, byte);
    this.#checks.push(() => bytes.get(0) === byte && bytes.get(length - 1) === byte);
  }

  /** Makes objects that live as long as the scope. Throws what scope and heap throw. */
  make(heap: Heap): void {
    const { context, event, ledger } = this;
    const { scope } = context;
    if (!event.scoped) {
      event.scoped = true;
      ledger.counts.scoped++;
    }
    ledger.assert(this.#scope === undefined || this.#scope === scope, `event ${event.id} was given a second scope`);
    this.#scope = scope;
    const seal = event.id + this.#checks.length / 64;
    const leaf = heap.new(Leaf, scope);
    leaf.value = seal;
    this.#checks.push(() => leaf.value === seal);
    const next = heap.new(Leaf, scope);
    next.value = -seal;
    leaf.next = next;
    next.children.set(0, leaf); // a cycle
    this.#checks.push(() => leaf.next?.value === -seal);
  }

  /** Everything that was written is there, and nothing else is in its place. */
  verify(): void {
    const { event, ledger, memory } = this;
    if (memory.disposed) return;
    try {
      this.#checks.forEach((check, index) => {
        ledger.assert(check(), `what event ${event.id} has written (${index}) has been written over`);
      });
    } catch (error) {
      ledger.complain(`event ${event.id} has lost what it had written: ${error}`);
    }
  }

  /** The event has ended, and nobody else has its context: all that it had has ended with it. */
  assertGone(): void {
    const { context, event } = this;
    this.#assertThrows(RegionEndedError, "the region", () => context.region);
    this.#assertThrows(ScopeEndedError, "the scope", () => context.scope);
    const region = this.#region;
    if (region !== undefined) this.#assertThrows(RegionEndedError, "a region that was kept", () => region.bytes(8));
    this.ledger.assert(this.#scope?.ended !== false, `the scope of event ${event.id} is open after its end`);
  }

  #assertThrows(type: new (message: string) => Error, what: string, use: () => unknown): void {
    try {
      use();
      this.ledger.complain(`${what} of event ${this.event.id} can be used after its end`);
    } catch (error) {
      const isRight = error instanceof type || (this.memory.disposed && error instanceof DisposedError);
      this.ledger.assert(isRight, `${what} of event ${this.event.id} throws ${error} after its end`);
    }
  }
}
