import { type CursorOf, ref, StaleReferenceError, struct, u32, u64 } from "tidemark";
import { expect } from "vitest";

/** A record with refs, for graphs. */
export const Node = struct("Node", { id: u32, next: ref("Node"), other: ref("Node"), stamp: u64 });
export type NodeCursor = CursorOf<(typeof Node)["fields"]>;

/** What the model knows of one allocation. */
export interface Item {
  readonly address: number;
  readonly size: number;
  live: boolean;
  /** Throws unless the content is what was written. */
  check(): void;
  /** True if the library says that it lives; undefined where the library does not know (raw addresses). */
  isLive(): boolean | undefined;
}

export interface NodeItem extends Item {
  readonly cursor: NodeCursor;
  readonly id: number;
  next: NodeItem | undefined;
  other: NodeItem | undefined;
}

/** A node as the model knows it, which refers to nothing yet. */
export function nodeItem(cursor: NodeCursor, id: number): NodeItem {
  const item: NodeItem = {
    address: cursor.$address,
    size: Node.size,
    live: true,
    cursor,
    id,
    next: undefined,
    other: undefined,
    isLive: () => cursor.isLive(),
    check() {
      expect(cursor.id).toBe(id);
      expect(cursor.stamp).toBe(BigInt(id) << 32n);
      for (const name of ["next", "other"] as const) {
        const target = item[name];
        const found = cursor[name] as NodeCursor | null;
        expect(found === null).toBe(target === undefined);
        if (target === undefined || found === null) continue;
        if (found.$address !== target.address) expect(found.$address).toBe(target.address);
        expect(found.isLive()).toBe(target.live);
      }
    },
  };
  return item;
}

/** Makes the content a pattern of its own, having seen that it is zero. */
export function patternedItem(
  address: number,
  size: number,
  view: () => Uint8Array,
  isLive: Item["isLive"],
  pattern: number,
): Item {
  const stamp = pattern & 0xff;
  const bytes = view();
  expect(bytes.length).toBe(size);
  // Of large ones the ends are looked at, and a stride between: what overlaps is found by addresses anyway.
  const step = size > 4096 ? 509 : 1;
  const at = (index: number) => (stamp + index * 7) & 0xff;
  for (let index = 0; index < size; index += step) {
    if (bytes[index] !== 0) expect([index, bytes[index]]).toEqual([index, 0]);
    bytes[index] = at(index);
  }
  if (bytes[size - 1] !== 0 && step > 1 && (size - 1) % step !== 0) expect(bytes[size - 1]).toBe(0);
  bytes[size - 1] = at(size - 1);
  return {
    address,
    size,
    live: true,
    isLive,
    check() {
      const now = view();
      for (let index = 0; index < size; index += step) {
        if (now[index] !== at(index)) expect([address, index, now[index]]).toEqual([address, index, at(index)]);
      }
      if (now[size - 1] !== at(size - 1)) expect(now[size - 1]).toBe(at(size - 1));
    },
  };
}

/** True if `access` works, false if what it accesses has ended. */
export function isAlive(access: () => unknown): boolean {
  try {
    access();
    return true;
  } catch (error) {
    if (error instanceof StaleReferenceError) return false;
    throw error;
  }
}
