/**
 * Seeded random numbers: sfc32 (Chris Doty-Humphrey, PractRand), 128 bits of state, integer arithmetic only, so that a
 * seed means the same sequence on every machine and engine.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** `seed` is taken as an unsigned 32-bit integer. */
  constructor(seed: number) {
    this.#a = seed >>> 0;
    this.#b = 0x9e3779b9;
    this.#c = 0x243f6a88;
    // Until every bit of the seed has reached every bit of the state.
    for (let round = 0; round < 16; round++) this.#next();
  }

  /** Uniform in [0, 1), 32 bits. */
  share(): number {
    return this.#next() / 4294967296;
  }

  /** Uniform integer in [0, count). The bias below 2^-16 for counts up to 2^16 is of no weight here. */
  below(count: number): number {
    return Math.floor(this.share() * count);
  }

  chance(probability: number): boolean {
    return this.share() < probability;
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }
}

/**
 * Measured points with straight lines between them. As a distribution: the values below which a share of 0 … 1 lies.
 */
export class Curve {
  /** `xs` ascending, at least two. */
  constructor(
    private readonly xs: readonly number[],
    private readonly ys: readonly number[],
  ) {}

  /** The value at `x`; outside the points, that of the first or last. O(number of points). */
  at(x: number): number {
    const { xs, ys } = this;
    let upper = 1;
    while (upper < xs.length - 1 && xs[upper]! < x) upper++;
    const left = xs[upper - 1]!;
    const position = Math.min(1, Math.max(0, (x - left) / (xs[upper]! - left)));
    return ys[upper - 1]! + position * (ys[upper]! - ys[upper - 1]!);
  }

  /** One value of the distribution that the curve describes. */
  draw(random: Random): number {
    return this.at(random.share());
  }
}
