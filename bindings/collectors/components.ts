/**
 * The strongly connected components of a graph: nodes have the same component exactly when each can be reached from the
 * other. O(nodes + edges), with a list of its own instead of recursion.
 *
 * Source: Tarjan, "Depth-first search and linear graph algorithms" (1972).
 *
 * @param edges for each node, the nodes that its edges lead to
 * @returns for each node, the number of its component
 */
export function componentsOf(edges: readonly (readonly number[])[]): Uint32Array {
  const count = edges.length;
  const components = new Uint32Array(count);
  /** The order in which nodes were met, from 1; 0 for those that were not. */
  const order = new Uint32Array(count);
  /** The least order that is known to be reachable, among nodes whose component is open. */
  const low = new Uint32Array(count);
  const isOpen = new Uint8Array(count);
  const open: number[] = [];
  /** The path from the root of the search to where it is now, and the next edge of each of its nodes. */
  const path: number[] = [];
  const nextEdge = new Uint32Array(count);
  let met = 0;
  let component = 0;
  const enter = (node: number): void => {
    order[node] = low[node] = ++met;
    isOpen[node] = 1;
    open.push(node);
    path.push(node);
  };
  for (let root = 0; root < count; root++) {
    if (order[root] !== 0) continue;
    enter(root);
    while (path.length > 0) {
      const node = path[path.length - 1]!;
      const target = edges[node]![nextEdge[node]!++];
      if (target !== undefined) {
        if (order[target] === 0) enter(target);
        else if (isOpen[target]) low[node] = Math.min(low[node]!, order[target]!);
        continue;
      }
      path.pop();
      const above = path[path.length - 1];
      if (above !== undefined) low[above] = Math.min(low[above]!, low[node]!);
      if (low[node] !== order[node]) continue;
      for (let member = -1; member !== node; ) {
        member = open.pop()!;
        isOpen[member] = 0;
        components[member] = component;
      }
      component++;
    }
  }
  return components;
}
