// What a program may do while a cycle is under way, one thing at a time: each is tried between any two units of work.

import { heapShape } from "./collectorShapes.js";
import { NODE, type ShadowHandle, type ShadowHeap, type ShadowScope } from "./shadowHeap.js";
import type { ShadowObject } from "./shadowObject.js";

export interface Scenario {
  readonly name: string;
  /** The shapes that it needs: few, so that a cycle has few units. */
  readonly shapes: readonly string[];
  /** Makes a graph, and returns what is done to it in the midst of the cycle: at once, or in two parts. */
  readonly build: (model: ShadowHeap) => readonly (() => void)[];
}

/** A graph in the making: everything is held by scope `roots`, or by what holds it. */
export class Graph {
  readonly roots: ShadowScope;

  constructor(readonly model: ShadowHeap) {
    this.roots = model.openScope()!;
  }

  /** A new object with a handle in `scope`. */
  rooted(name = "node", length = 0, scope = this.roots): ShadowObject {
    return this.handle(name, length, scope).target;
  }

  handle(name = "node", length = 0, scope = this.roots): ShadowHandle {
    return this.model.allocate(heapShape(name), length, scope)!;
  }

  /** A new object that slot `index` of `holder` holds, and nothing else. */
  below(holder: ShadowObject, index: number, name = "node", length = 0): ShadowObject {
    const { model } = this;
    const scope = model.openScope()!;
    const object = model.allocate(heapShape(name), length, scope)!.target;
    model.store(holder, index, object);
    model.endScope(scope);
    return object;
  }

  /** A new object that nothing holds any more. */
  garbage(name = "node", fill: (object: ShadowObject) => void = () => {}): ShadowObject {
    const scope = this.model.openScope()!;
    const object = this.model.allocate(heapShape(name), 0, scope)!.target;
    fill(object);
    this.model.endScope(scope);
    return object;
  }

  /** A chain of nodes below `holder`, which is not in it. */
  chain(holder: ShadowObject, index: number, length: number): ShadowObject[] {
    const nodes: ShadowObject[] = [];
    let last = holder;
    for (let count = 0; count < length; count++) {
      last = this.below(last, count === 0 ? index : 0);
      nodes.push(last);
    }
    return nodes;
  }

  /** Nodes that refer to each other in a ring, the first held by slot `index` of `holder`. */
  ring(holder: ShadowObject, index: number, length: number): ShadowObject[] {
    const nodes = this.chain(holder, index, length);
    this.model.store(nodes.at(-1)!, 0, nodes[0]!);
    return nodes;
  }
}

function scenario(
  name: string,
  shapes: string,
  build: (graph: Graph, model: ShadowHeap) => (() => void) | readonly (() => void)[],
): Scenario {
  return {
    name,
    shapes: shapes.split(" "),
    build(model) {
      const made = build(new Graph(model), model);
      return typeof made === "function" ? [made] : made;
    },
  };
}

/** Two holders with a node below each, and others around them, so that there is something to mark before and after. */
function twoHolders(graph: Graph) {
  const first = graph.rooted();
  graph.chain(first, 1, 3);
  const second = graph.rooted();
  graph.chain(second, 1, 3);
  return { first, second, below: graph.below(second, 0) };
}

const NODES = "node leaf";

export const scenarios: readonly Scenario[] = [
  scenario("an object moves from one holder to another", NODES, (graph, model) => {
    const { first, second, below } = twoHolders(graph);
    graph.below(below, 0);
    return [() => model.store(first, 0, below), () => model.store(second, 0, undefined)];
  }),
  scenario("an object moves to a holder before it, by other slots", NODES, (graph, model) => {
    const { first, second } = twoHolders(graph);
    const moved = graph.below(first, 0);
    graph.below(moved, 0, "node");
    return [() => model.store(second, 0, moved), () => model.store(first, 0, undefined)];
  }),
  scenario("two holders swap what they hold", NODES, (graph, model) => {
    const { first, second, below } = twoHolders(graph);
    const other = graph.below(first, 0);
    return () => {
      model.store(first, 0, below);
      model.store(second, 0, other);
    };
  }),
  scenario("an object is held by a handle alone", NODES, (graph, model) => {
    const { second, below } = twoHolders(graph);
    graph.chain(below, 0, 2);
    return [() => model.push(below, graph.roots), () => model.store(second, 0, undefined)];
  }),
  scenario("an object is held by a scope alone that is opened for it", NODES, (graph, model) => {
    const { second, below } = twoHolders(graph);
    graph.chain(below, 0, 2);
    return () => {
      model.push(below, model.openScope()!);
      model.store(second, 0, undefined);
    };
  }),
  scenario("an object is kept, and held by nothing else", NODES, (graph, model) => {
    const { second, below } = twoHolders(graph);
    graph.chain(below, 0, 2);
    return [() => model.keep(below), () => model.store(second, 0, undefined)];
  }),
  scenario("an object is kept in the entry of one that was released", NODES, (graph, model) => {
    const { first, second, below } = twoHolders(graph);
    const kept = [model.keep(first)!, model.keep(second)!, model.keep(first)!];
    return () => {
      model.release(kept[1]!);
      model.keep(below);
      model.store(second, 0, undefined);
    };
  }),
  scenario("a new object takes over what another has held", NODES, (graph, model) => {
    const { first, second, below } = twoHolders(graph);
    graph.below(below, 0);
    return () => {
      const scope = model.openScope()!;
      const taker = graph.rooted("node", 0, scope);
      model.store(taker, 0, below);
      model.store(second, 0, undefined);
      model.store(first, 0, taker);
      model.endScope(scope);
    };
  }),
  scenario("new objects are held by new handles, and by new objects", NODES, (graph, model) => {
    const { first } = twoHolders(graph);
    return [
      () => {
        const scope = model.openScope()!;
        const [one, two] = [graph.rooted("node", 0, scope), graph.rooted("node", 0, scope)];
        model.store(one, 0, two);
        graph.below(two, 0);
        model.store(first, 0, graph.rooted("node", 0, scope));
      },
      () => {
        const last = model.scopes.at(-1)!;
        model.keep(last.handles[0]!.target);
        model.endScope(last);
      },
    ];
  }),
  scenario("a handle is moved off an object that is stored elsewhere", NODES, (graph, model) => {
    const { first, second } = twoHolders(graph);
    const handle = graph.handle();
    graph.chain(handle.target, 0, 2);
    return [() => model.store(first, 0, handle.target), () => model.move(handle, second)];
  }),
  scenario(
    "a handle is moved off an object that is stored in what has been looked at before it",
    NODES,
    (graph, model) => {
      const handle = graph.handle();
      graph.chain(handle.target, 0, 2);
      const { first, second } = twoHolders(graph); // newer, so looked at first
      return [() => model.store(first, 0, handle.target), () => model.move(handle, second)];
    },
  ),
  ...["older", "newer"].map((place) =>
    scenario(
      `a handle of the ${place} scope is moved off an object that is stored elsewhere`,
      NODES,
      (graph, model) => {
        const [oldest, older, newer] = [model.openScope()!, model.openScope()!, model.openScope()!];
        const isOlder = place === "older";
        const handle = graph.handle("node", 0, isOlder ? oldest : newer);
        graph.chain(handle.target, 0, 2);
        const holder = graph.rooted("node", 0, isOlder ? newer : oldest);
        graph.rooted("node", 0, older);
        return [
          () => model.store(holder, 0, handle.target),
          () => {
            model.endScope(older);
            model.move(handle, holder);
          },
        ];
      },
    ),
  ),
  scenario("a kept handle is moved off an object that is stored elsewhere", NODES, (graph, model) => {
    const { first, second, below } = twoHolders(graph);
    const kept = model.keep(below)!;
    graph.chain(below, 0, 2);
    model.store(second, 0, undefined);
    return [() => model.store(first, 0, below), () => model.move(kept, second)];
  }),
  scenario("a handle is moved to an object that nothing else holds then", NODES, (graph, model) => {
    const { second, below } = twoHolders(graph);
    const handle = graph.handle();
    graph.chain(below, 0, 2);
    return () => {
      model.store(second, 0, undefined);
      model.move(handle, below);
    };
  }),
  scenario("a kept handle is moved to an object that nothing else holds then", NODES, (graph, model) => {
    const { first, second, below } = twoHolders(graph);
    const kept = model.keep(first)!;
    graph.chain(below, 0, 2);
    return () => {
      model.store(second, 0, undefined);
      model.move(kept, below);
    };
  }),
  scenario("a handle walks along a list that is cut behind it", NODES, (graph, model) => {
    const { first } = twoHolders(graph);
    const nodes = graph.chain(first, 0, 4);
    const handle = model.push(nodes[0]!, graph.roots)!;
    return [
      () => model.move(handle, model.load(handle.target, 0)!),
      () => {
        model.move(handle, model.load(handle.target, 0)!);
        model.store(first, 0, undefined);
      },
    ];
  }),
  scenario("a scope ends after what it held is stored elsewhere", NODES, (graph, model) => {
    const { first } = twoHolders(graph);
    const scope = model.openScope()!;
    const object = graph.rooted("node", 0, scope);
    graph.chain(object, 0, 2);
    return [() => model.store(first, 0, object), () => model.endScope(scope)];
  }),
  scenario("a scope ends after what it held has a handle elsewhere", NODES, (graph, model) => {
    twoHolders(graph);
    const scope = model.openScope()!;
    const object = graph.rooted("node", 0, scope);
    graph.chain(object, 0, 2);
    return [() => model.push(object, graph.roots), () => model.endScope(scope)];
  }),
  scenario("a scope ends after what it held is kept", NODES, (graph, model) => {
    twoHolders(graph);
    const scope = model.openScope()!;
    const object = graph.rooted("node", 0, scope);
    graph.chain(object, 0, 2);
    return [() => model.keep(object), () => model.endScope(scope)];
  }),
  scenario("a scope of many handles ends after one of them is stored elsewhere", NODES, (graph, model) => {
    const { first } = twoHolders(graph);
    const scope = model.openScope()!;
    for (let count = 0; count < 40; count++) model.push(first, scope);
    const object = graph.rooted("node", 0, scope);
    for (let count = 0; count < 40; count++) model.push(first, scope);
    graph.below(object, 0);
    return () => {
      model.store(first, 0, object);
      model.endScope(scope);
    };
  }),
  scenario("a kept handle is released after what it held is stored elsewhere", NODES, (graph, model) => {
    const { first, second, below } = twoHolders(graph);
    const others = [model.keep(first)!, model.keep(below)!, model.keep(second)!];
    graph.chain(below, 0, 2);
    model.store(second, 0, undefined);
    return [() => model.store(first, 0, below), () => model.release(others[1]!)];
  }),
  scenario("a kept handle is released after what it held has a handle elsewhere", NODES, (graph, model) => {
    const { second, below } = twoHolders(graph);
    const kept = model.keep(below)!;
    graph.chain(below, 0, 2);
    model.store(second, 0, undefined);
    return [() => model.push(below, graph.roots), () => model.release(kept)];
  }),
  scenario("a scope ends and another is opened in its place", NODES, (graph, model) => {
    const { second, below } = twoHolders(graph);
    const scope = model.openScope()!;
    graph.rooted("node", 0, scope);
    return () => {
      model.endScope(scope);
      const other = model.openScope()!;
      model.push(below, other);
      graph.rooted("node", 0, other);
      model.store(second, 0, undefined);
    };
  }),
  scenario(
    "what only a weak slot shows is held again by a handle",
    "node leaf watcher hooked nodes",
    (graph, model) => {
      const watcher = graph.rooted("watcher");
      const nodes: ShadowObject[] = [];
      graph.garbage("node", (object) => {
        nodes.push(object);
        graph.chain(object, 0, 3);
        model.storeWeak(watcher, 0, object);
      });
      return () => {
        const found = model.loadWeak(watcher, 0);
        if (found !== undefined) model.push(found, graph.roots);
      };
    },
  ),
  scenario("what only a weak slot shows is stored again", "node leaf watcher hooked nodes", (graph, model) => {
    const { first } = twoHolders(graph);
    const watcher = graph.rooted("watcher");
    const holder = graph.rooted();
    const ring = graph.ring(holder, 0, 3);
    model.storeWeak(watcher, 0, ring[1]);
    model.store(holder, 0, undefined);
    return () => {
      const found = model.loadWeak(watcher, 0);
      if (found !== undefined) model.store(first, 0, found);
    };
  }),
  scenario(
    "what a weak slot shows is moved from one weak slot to another",
    "watcher node leaf hooked nodes",
    (g, model) => {
      const [one, two] = [g.rooted("watcher"), g.rooted("watcher")];
      const object = g.rooted("node", 0, model.openScope()!);
      model.storeWeak(one, 0, object);
      return [
        () => {
          model.endScope(model.scopes.at(-1)!);
          const found = model.loadWeak(one, 0);
          if (found !== undefined) model.storeWeak(two, 0, found);
        },
        () => {
          const found = model.loadWeak(two, 0);
          if (found !== undefined) model.keep(found);
        },
      ];
    },
  ),
  scenario(
    "a weak slot is written anew, and its new target lives",
    "watcher node leaf hooked nodes",
    (graph, model) => {
      const { first } = twoHolders(graph);
      const watcher = graph.rooted("watcher");
      graph.garbage("node", (object) => model.storeWeak(watcher, 0, object));
      return () => {
        model.storeWeak(watcher, 0, first);
        model.storeWeak(watcher, 1, watcher);
      };
    },
  ),
  scenario("new objects fill the room that a sweep makes", NODES, (graph, model) => {
    const scope = model.openScope()!;
    const { first } = twoHolders(graph);
    for (let count = 0; count < 150; count++) graph.rooted("node", 0, scope);
    const survivor = graph.rooted("node", 0, scope);
    for (let count = 0; count < 30; count++) graph.rooted("leaf", 0, scope);
    graph.below(survivor, 0);
    model.store(first, 0, survivor);
    model.endScope(scope);
    return () => {
      const other = model.openScope()!;
      for (let count = 0; count < 60; count++) {
        const object = graph.rooted("node", 0, other);
        if (count % 20 === 0) {
          model.store(object, 0, survivor);
          model.keep(object);
        }
      }
      for (let count = 0; count < 10; count++) model.store(first, 2, graph.rooted("leaf", 0, other));
      model.endScope(other);
    };
  }),
  scenario(
    "elements of an array change places with those at its end",
    "tree forest records node leaf hooked watcher",
    (graph, model) => {
      const forest = graph.rooted("forest", 24);
      for (let index = 0; index < 24; index += 2) graph.below(forest, index, "tree");
      const other = graph.rooted("forest", 4);
      return () => {
        for (const [from, to] of [
          [0, 23],
          [22, 1],
          [10, 11],
        ] as const) {
          const moved = model.load(forest, from)!;
          model.store(forest, to, moved);
          model.store(forest, from, undefined);
        }
        model.store(other, 3, model.load(forest, 20));
        model.store(forest, 20, undefined);
      };
    },
  ),
  scenario("references in structs of an array move", "records tree forest node leaf hooked watcher", (graph, model) => {
    const records = graph.rooted("records", 6);
    const byShape = (name: string) => records.shape.strong.findIndex(({ to }) => to === heapShape(name).index);
    const perElement = records.shape.strong.length;
    for (const name of ["node", "hooked", "tree"]) graph.below(records, 5 * perElement + byShape(name), name);
    model.storeWeak(records, 2, graph.rooted("watcher"));
    return () => {
      for (const name of ["node", "hooked", "tree"]) {
        const from = 5 * perElement + byShape(name);
        model.store(records, byShape(name), model.load(records, from));
        model.store(records, from, undefined);
      }
    };
  }),
  scenario("an object above a page takes over what a small one has held", "huge large node leaf", (graph, model) => {
    const { second, below } = twoHolders(graph);
    const huge = graph.rooted("huge");
    const large = graph.below(huge, 0, "huge");
    graph.below(large, 1);
    return [
      () => model.store(huge, 1, below),
      () => {
        model.store(second, 0, undefined);
        const made = graph.rooted("large");
        model.store(
          made,
          made.shape.strong.findIndex(({ to }) => to === NODE.index),
          model.load(large, 1),
        );
        model.store(large, 1, undefined);
      },
    ];
  }),
  scenario("a list is cut in the middle, and its rest held by a handle", NODES, (graph, model) => {
    const { first } = twoHolders(graph);
    const nodes = graph.chain(first, 0, 8);
    return () => {
      model.push(nodes[4]!, graph.roots);
      model.store(nodes[3]!, 0, undefined);
    };
  }),
  scenario("rings are dropped, and one of them taken up again", NODES, (graph, model) => {
    const { first } = twoHolders(graph);
    const holder = graph.rooted();
    const ring = graph.ring(holder, 0, 4);
    graph.ring(ring[2]!, 1, 3);
    return [
      () => {
        const held = model.load(holder, 0)!;
        model.push(held, graph.roots);
        model.store(holder, 0, undefined);
      },
      () => {
        model.store(first, 0, ring[2]!);
        model.store(ring[1]!, 0, undefined);
      },
    ];
  }),
  scenario("rings that were dropped before hang on rings that live", "left right node leaf", (graph, model) => {
    const holder = graph.rooted("left");
    const right = graph.below(holder, 0, "right");
    model.store(right, 0, holder);
    const dropped = graph.below(right, 1, "right");
    const left = graph.below(dropped, 0, "left");
    model.store(left, 0, right);
    const node = holder.shape.strong.findIndex(({ to }) => to === NODE.index);
    graph.ring(left, node, 3);
    model.store(right, 1, undefined);
    return () => {
      graph.ring(holder, node, 2);
      model.store(holder, node, undefined);
    };
  }),
  scenario(
    "objects with hooks die beside others that live",
    "hooked hookedLeaf watcher node leaf nodes",
    (graph, model) => {
      const watcher = graph.rooted("watcher");
      const live = graph.rooted("hooked");
      const holder = graph.rooted("hooked");
      const first = graph.below(holder, 0, "hooked");
      const second = graph.below(first, 0, "hooked");
      graph.below(second, 1);
      model.store(second, 0, first);
      model.storeWeak(first, 0, second);
      model.storeWeak(watcher, 2, second);
      model.storeWeak(live, 0, first);
      for (let count = 0; count < 3; count++) graph.garbage("hookedLeaf");
      model.store(holder, 0, undefined);
      return () => {
        model.loadWeak(watcher, 2);
        model.store(holder, 0, live);
        model.push(graph.rooted("hooked", 0, model.openScope()!), graph.roots);
        model.endScope(model.scopes.at(-1)!);
      };
    },
  ),
  scenario("a dropped ring is found by weak slots while it is looked at", "watcher node leaf", (graph, model) => {
    const watchers = Array.from({ length: 4 }, () => graph.rooted("watcher"));
    const holder = graph.rooted();
    const ring = graph.ring(holder, 0, 6);
    watchers.forEach((watcher, index) => {
      model.storeWeak(watcher, 0, ring[index]!);
    });
    model.store(holder, 0, undefined);
    return watchers.map((watcher) => () => {
      const found = model.loadWeak(watcher, 0);
      if (found !== undefined) model.push(found, graph.roots);
    });
  }),
  scenario("what is looked at comes to its end meanwhile", NODES, (graph, model) => {
    const holder = graph.rooted();
    const chain = graph.chain(holder, 0, 6);
    const other = graph.rooted();
    model.store(other, 0, chain[0]!);
    model.store(other, 0, undefined); // so that it may be part of a dropped ring
    return () => model.store(holder, 0, undefined);
  }),
  scenario(
    "a candidate that is reached from another, before it is looked at itself, loses what held it",
    NODES,
    (graph, model) => {
      const holder = graph.rooted();
      const top = graph.below(holder, 0);
      const ring = graph.below(top, 0);
      model.store(ring, 1, ring);
      for (const candidate of [ring, top]) {
        model.store(holder, 1, candidate);
        model.store(holder, 1, undefined);
        model.settle();
      }
      return () => model.store(holder, 0, undefined);
    },
  ),
  scenario("what hooks are to run for is looked at by weak slots, and held", "hooked node leaf", (graph, model) => {
    const live = graph.rooted("hooked");
    const holder = graph.rooted("hooked");
    const dropped = graph.below(holder, 0, "hooked");
    const behind = graph.below(dropped, 0, "hooked");
    graph.below(behind, 1);
    model.storeWeak(live, 0, behind);
    model.store(holder, 0, undefined);
    return () => {
      const found = model.loadWeak(live, 0);
      if (found !== undefined) model.store(live, 0, found);
    };
  }),
  scenario("what a dying ring refers to is dropped before all its hooks have run", "hookedPair", (graph, model) => {
    const holder = graph.rooted("hookedPair");
    const ring = graph.below(holder, 0, "hookedPair");
    const other = graph.below(ring, 0, "hookedPair");
    model.store(other, 0, ring);
    const held = graph.below(ring, 1, "hookedPair");
    graph.below(held, 0, "hookedPair");
    model.store(other, 1, held);
    model.store(holder, 1, held);
    model.store(holder, 0, undefined);
    return () => model.store(holder, 1, undefined);
  }),
  scenario("what a dying ring refers to is taken up by what lives", "hookedPair", (graph, model) => {
    const holder = graph.rooted("hookedPair");
    const ring = graph.below(holder, 0, "hookedPair");
    const other = graph.below(ring, 0, "hookedPair");
    model.store(other, 0, ring);
    const held = graph.below(ring, 1, "hookedPair");
    model.store(other, 1, held);
    const kept = model.keep(held)!;
    model.store(holder, 0, undefined);
    return [() => model.store(holder, 1, held), () => model.release(kept)];
  }),
  scenario("weak slots of arrays refer to what lives and what dies", "weakNodes node leaf", (graph, model) => {
    const array = graph.rooted("weakNodes", 6);
    model.storeWeak(array, 5, graph.rooted());
    graph.garbage("node", (object) => model.storeWeak(array, 0, object));
    graph.garbage("node", (object) => model.storeWeak(array, 4, object));
    return () => {
      model.storeWeak(array, 2, model.load(graph.rooted(), 0) ?? graph.rooted());
      model.loadWeak(array, 4);
    };
  }),
];
