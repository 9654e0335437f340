import type { ChurnResult, Mix } from "./churn.js";
import { nextRandom, pick } from "./random.js";

/** What bench/assembly/drivers/churn.ts comes to, with a list of blocks and no allocator. */
export function churnPlainly({ seed, minimumLive, maximumSize, operations, reallocates }: Mix): ChurnResult {
  const blocks: { size: number; word: number }[] = [];
  const end = minimumLive + operations;
  let random = seed;
  let live = 0;
  let peakLive = 0;
  let checksum = 0;
  const draw = (bound: number) => {
    random = nextRandom(random);
    return pick(random, bound);
  };
  for (let step = 0; step < end; step++) {
    let kind = draw(reallocates ? 3 : 2);
    if (step < minimumLive || (kind === 1 && blocks.length <= minimumLive)) kind = 0;
    if (kind === 0) {
      const size = draw(maximumSize) + 1;
      blocks.push({ size, word: step });
      live += size;
    } else {
      const index = draw(blocks.length);
      const block = blocks[index]!;
      live -= block.size;
      if (kind === 1) {
        if (block.size >= 4) checksum += block.word;
        const last = blocks.pop()!;
        if (index < blocks.length) blocks[index] = last;
      } else {
        const size = draw(maximumSize) + 1;
        if (Math.min(size, block.size) >= 4) checksum += block.word;
        blocks[index] = { size, word: step };
        live += size;
      }
    }
    peakLive = Math.max(peakLive, live);
  }
  for (const { size, word } of blocks) if (size >= 4) checksum += word;
  return { checksum, performed: end + blocks.length, peakLive };
}
