// The programs for AssemblyScript's managed runtimes: a module with a memory of its own, compiled once for each runtime.

import { binaryTrees } from "./managed/binaryTrees";
import { boehm } from "./managed/boehm";
import { cells } from "./managed/cells";
import { cliques } from "./managed/cliques";
import { density } from "./managed/density";
import { graph } from "./managed/graph";
import { list } from "./managed/list";
import { quads } from "./managed/quads";
import { requests } from "./managed/requests";
import { rings } from "./managed/rings";
import { BinaryTrees } from "./programs/binaryTrees";
import { Boehm } from "./programs/boehm";
import { Cells } from "./programs/cells";
import { Cliques } from "./programs/cliques";
import { Density } from "./programs/density";
import { Graph } from "./programs/graph";
import { List } from "./programs/list";
import { Quads } from "./programs/quads";
import { Requests } from "./programs/requests";
import { Rings } from "./programs/rings";

/** Room for the host's records. */
const SCRATCH = memory.data(4096);

export function scratchStart(): usize {
  return SCRATCH;
}

/** There is nothing to be made: the runtime is there. */
export function managedCreate(place: usize): usize {
  return place;
}

/** As the strategies' own. The numbers are those of programs/run.ts. */
export function managedRun(_strategy: usize, record: usize, program: u32): f64 {
  switch (program) {
    case 0:
      return binaryTrees(changetype<BinaryTrees>(record));
    case 1:
      return boehm(changetype<Boehm>(record));
    case 2:
      return list(changetype<List>(record));
    case 3:
      return quads(changetype<Quads>(record));
    case 4:
      return rings(changetype<Rings>(record));
    case 5:
      return cliques(changetype<Cliques>(record));
    case 6:
      return graph(changetype<Graph>(record));
    case 7:
      return requests(changetype<Requests>(record));
    case 8:
      return cells(changetype<Cells>(record));
    case 9:
      return density(changetype<Density>(record));
    default:
      return NaN;
  }
}
