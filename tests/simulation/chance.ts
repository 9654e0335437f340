import { RandomNumbers } from "../support/randomNumbers.js";

const PURPOSES = ["world", "scenario", "driver"] as const;

/** What a seed decides, one decision after another. Neighbouring seeds have nothing in common. */
export class Chance extends RandomNumbers {
  /** @param purpose what it is for: for another, the same seed decides otherwise */
  constructor(seed: number, purpose: (typeof PURPOSES)[number]) {
    super(scattered(PURPOSES.length * seed + PURPOSES.indexOf(purpose)));
  }

  oneIn(count: number): boolean {
    return this.below(count) === 0;
  }

  /** One of the names, each as often as its weight says. */
  weighed<Name extends string>(weights: Readonly<Record<Name, number>>): Name {
    let sum = 0;
    for (const name in weights) sum += weights[name];
    let left = this.below(sum);
    for (const name in weights) {
      left -= weights[name];
      if (left < 0) return name;
    }
    throw new Error("there is nothing to choose from");
  }
}

/** The finalizer of MurmurHash3 (Austin Appleby, 2011), shifted, as the generator does not see the lowest bit of its seed. */
function scattered(seed: number): number {
  let bits = Math.imul(seed, 0x9e37_79b1) + 0x7f4a_7c15;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85eb_ca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2_ae35);
  return (bits ^ (bits >>> 16)) << 1;
}
