import fc from "fast-check";

/** Random traces: the text of a few hundred operations on a few dozen ids, each of them allowed where it stands. */
export function traces(largest: number): fc.Arbitrary<string> {
  const step = fc.record({
    id: fc.integer({ min: 0, max: 40 }),
    frees: fc.boolean(),
    size: fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 0, max: 300 }) }, fc.integer({ min: 0, max: largest })),
  });
  return fc.array(step, { minLength: 41, maxLength: 400 }).map((steps) => {
    const live = new Set<number>();
    const lines = steps.map(({ id, frees, size }) => {
      if (!live.has(id)) {
        live.add(id);
        return `a ${id} ${size}`;
      }
      if (!frees) return `r ${id} ${size}`;
      live.delete(id);
      return `f ${id}`;
    });
    return ["1", "41", `${lines.length}`, "0", ...lines, ""].join("\n");
  });
}
