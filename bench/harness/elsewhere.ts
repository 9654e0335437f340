/** Enough targets that an engine gives up telling them apart. */
const DECOYS = 8;

/**
 * Wraps a function so that it is called from a place that calls many functions, as most functions of a program are.
 *
 * A place that only ever calls one has it compiled in place, and V8 has a budget for that in each function: how much of
 * the code under measurement is then compiled in place depends on what happens to stand around it. The same record took
 * 4 ns or 25. So the harness calls what it times through here, and a case what belongs to another part of a program.
 */
export function elsewhere<Result>(target: () => Result): () => Result {
  const call = (holder: { target(): unknown }) => holder.target();
  const holders: { target(): unknown }[] = [];
  for (let decoy = 0; decoy < DECOYS; decoy++) holders.push({ [`decoy${decoy}`]: decoy, target: () => decoy });
  for (const holder of holders) call(holder);
  holders.push({ target });
  // Out of the array each time: what a closure holds is a constant to the engine, and so would the target be.
  return () => call(holders[DECOYS]!) as Result;
}
