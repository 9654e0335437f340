import type { PlainResult } from "./program.js";

/** See bench/assembly/programs/cliques.ts. */
export interface CliquesParameters {
  readonly members: number;
  readonly live: number;
  readonly events: number;
}

interface Node {
  edges: readonly Node[];
  readonly value: number;
}

const NONE: readonly Node[] = [];

export function cliques({ members, live, events }: CliquesParameters): PlainResult {
  const table = new Array<Node | null>(live).fill(null);
  const making: Node[] = [];
  let checksum = 0;
  for (let event = 0; event < events; event++) {
    for (let index = 0; index < members; index++) making[index] = { edges: NONE, value: event + index };
    for (const node of making) node.edges = making.slice(); // at once in its size
    checksum += sum(table[event % live]!);
    table[event % live] = making[0]!;
  }
  for (const clique of table) checksum += sum(clique);
  return { checksum, made: 2 + events * 2 * members };
}

function sum(clique: Node | null): number {
  let total = 0;
  if (clique !== null) for (const { edges } of clique.edges) for (const { value } of edges) total += value;
  return total;
}
