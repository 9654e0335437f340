/** What a program of bench/assembly/programs/ comes to, whatever collects its garbage. */
export interface PlainResult {
  /** NaN when memory was out. */
  readonly checksum: number;
  /** Objects, arrays included. */
  readonly made: number;
}
