// The programs by their numbers, those of bench/drivers/programs.ts.

import { BinaryTrees, binaryTrees } from "./binaryTrees";
import { Boehm, boehm } from "./boehm";
import { Cells, cells } from "./cells";
import { Cliques, cliques } from "./cliques";
import { Density, density } from "./density";
import { Graph, graph } from "./graph";
import { List, list } from "./list";
import { Quads, quads } from "./quads";
import { Requests, requests } from "./requests";
import { Rings, rings } from "./rings";

/** Runs a program; NaN when memory is out, or when there is no such program. What is made by a run is garbage after it. */
export function runProgram<S>(heap: S, record: usize, program: u32): f64 {
  switch (program) {
    case 0:
      return binaryTrees<S>(heap, changetype<BinaryTrees>(record));
    case 1:
      return boehm<S>(heap, changetype<Boehm>(record));
    case 2:
      return list<S>(heap, changetype<List>(record));
    case 3:
      return quads<S>(heap, changetype<Quads>(record));
    case 4:
      return rings<S>(heap, changetype<Rings>(record));
    case 5:
      return cliques<S>(heap, changetype<Cliques>(record));
    case 6:
      return graph<S>(heap, changetype<Graph>(record));
    case 7:
      return requests<S>(heap, changetype<Requests>(record));
    case 8:
      return cells<S>(heap, changetype<Cells>(record));
    case 9:
      return density<S>(heap, changetype<Density>(record));
    default:
      return NaN;
  }
}
