/** What a call of the page heap is expected to do. */
const PageStatus = { MAXIMUM_REACHED: 1, ENGINE_REFUSED: 2, SEALED: 3, INVALID_SIZE: 5, FOREIGN_ADDRESS: 7 };

const PAGE_LIMIT = 65_535;
const HOST = 2;

/**
 * The page heap as its documentation has it, in the plainest way: an array with a run a page. Every figure and every
 * address of the real one is predicted exactly.
 */
export class PageModel {
  /** For each committed page, the run it belongs to, or undefined while it is free. */
  pages: (PageRun | undefined)[] = [];
  highWater = 0;
  growths = 0;
  sealed = false;
  /** Why the last call failed. */
  status = 0;

  /**
   * @param maximum the most pages that the heap may have
   * @param engineMaximum the most pages that the engine grants
   * @param memoryPages the size of the memory; it runs ahead of `pages` where the host has grown it
   */
  constructor(
    readonly maximum: number,
    readonly engineMaximum: number,
    public memoryPages: number,
    metadataPages: number,
  ) {
    this.#extend(memoryPages);
    this.#take(0, metadataPages, 1);
  }

  get free(): number {
    return this.pages.filter((run) => run === undefined).length;
  }

  get used(): number {
    return this.pages.length - this.free;
  }

  ownedBy(owner: number): number {
    return this.pages.filter((run) => run?.owner === owner).length;
  }

  /** The page at which the new run begins, or -1 with a status. */
  allocate(count: number, owner: number): number {
    if (count === 0) return this.#fail(PageStatus.INVALID_SIZE);
    if (count > PAGE_LIMIT) return this.#fail(PageStatus.MAXIMUM_REACHED);
    let start = this.#firstFit(count);
    if (start < 0) {
      if (!this.#grow(count - this.#trailing())) return -1;
      start = this.#firstFit(count);
    }
    this.#take(start, count, owner);
    return start;
  }

  /** The pages given back; 0 with a status if no run of `owner` begins at `page`. */
  release(page: number, owner: number): number {
    const run = this.pages[page];
    if (run === undefined || run.start !== page || run.owner !== owner || owner <= HOST) {
      this.status = PageStatus.FOREIGN_ADDRESS;
      return 0;
    }
    this.pages.fill(undefined, page, page + run.count);
    return run.count;
  }

  /** Makes the run that begins at `page` longer, if the pages behind it are free or can be had. */
  extend(page: number, count: number): boolean {
    const run = this.pages[page]!;
    const start = run.start + run.count;
    const stop = start + count;
    if (stop > PAGE_LIMIT) return false;
    if (this.pages.slice(start, stop).some((each) => each !== undefined)) return false;
    const missing = stop - this.pages.length;
    if (missing > 0 && (this.memoryPages !== this.pages.length || !this.#grow(missing))) return false;
    run.count += count;
    this.pages.fill(run, start, stop);
    this.highWater = Math.max(this.highWater, this.used);
    return true;
  }

  /** Gives back the last `count` pages of the run that begins at `page`. */
  shorten(page: number, count: number): void {
    const run = this.pages[page]!;
    run.count -= count;
    this.pages.fill(undefined, run.start + run.count, run.start + run.count + count);
  }

  /** Makes the run at `next` a part of the one at `page`, which ends there. */
  join(page: number, next: number): void {
    const run = this.pages[page]!;
    const { count } = this.pages[next]!;
    run.count += count;
    this.pages.fill(run, next, next + count);
  }

  reserve(count: number): boolean {
    if (count === 0) {
      this.#fail(PageStatus.INVALID_SIZE);
      return false;
    }
    return this.#firstFit(count) >= 0 || this.#grow(count - this.#trailing());
  }

  /** Free pages at the end of memory, unless a host has grown it behind them. */
  #trailing(): number {
    let trailing = 0;
    while (this.pages[this.pages.length - 1 - trailing] === undefined && trailing < this.pages.length) trailing++;
    return this.memoryPages === this.pages.length ? trailing : 0;
  }

  #firstFit(count: number): number {
    let length = 0;
    for (let page = 0; page < this.pages.length; page++) {
      length = this.pages[page] === undefined ? length + 1 : 0;
      if (length === count) return page - count + 1;
    }
    return -1;
  }

  #grow(need: number): boolean {
    const room = Math.max(0, this.maximum - this.memoryPages);
    const step = Math.min(Math.max(Math.floor(this.used / 8), 16), 256);
    let amount = Math.min(Math.max(need, step), room);
    if (this.memoryPages + amount > this.engineMaximum) amount = need;
    if (this.sealed) this.status = PageStatus.SEALED;
    else if (need > room) this.status = PageStatus.MAXIMUM_REACHED;
    else if (this.memoryPages + amount > this.engineMaximum) this.status = PageStatus.ENGINE_REFUSED;
    else {
      this.growths++;
      const host = this.memoryPages - this.pages.length;
      const start = this.pages.length;
      this.#extend(host);
      if (host > 0) this.#take(start, host, HOST);
      this.#extend(amount);
      this.memoryPages += amount;
      return true;
    }
    return false;
  }

  #extend(count: number): void {
    for (let page = 0; page < count; page++) this.pages.push(undefined);
  }

  /** Marks the run as taken. */
  #take(start: number, count: number, owner: number): void {
    const run = { start, count, owner };
    this.pages.fill(run, start, start + count);
    this.highWater = Math.max(this.highWater, this.used);
  }

  #fail(status: number): -1 {
    this.status = status;
    return -1;
  }
}

export interface PageRun {
  readonly start: number;
  count: number;
  readonly owner: number;
}
