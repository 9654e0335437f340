import { Quads } from "../programs/quads";
import { endEvent } from "./program";

class Quad {
  first: Quad | null;
  second: Quad | null;
  third: Quad | null;
  fourth: Quad | null;
  constructor(public value: u32) {}
}

let longLived: Quad | null = null;
let ring: StaticArray<Quad | null> | null = null;

export function quads(record: Quads): f64 {
  record.clear();
  const live = record.live;
  longLived = grow(record.longLivedDepth, 1);
  ring = new StaticArray<Quad | null>(live);
  endEvent(record, sizeOf(record.longLivedDepth) + 1);
  let checksum: f64 = 0;
  for (let event: u32 = 0; event < record.events; event++) {
    checksum += replace(event % live, record.shortLivedDepth, event);
    endEvent(record, sizeOf(record.shortLivedDepth));
  }
  checksum += sum(longLived!);
  longLived = null;
  ring = null;
  endEvent(record, 0);
  return checksum;
}

function replace(index: u32, depth: u32, value: u32): f64 {
  const old = unchecked(ring![index]);
  const total = old ? sum(old) : 0;
  unchecked((ring![index] = grow(depth, value)));
  return total;
}

function sizeOf(depth: u32): u32 {
  return ((4 << (depth << 1)) - 1) / 3;
}

function grow(depth: u32, value: u32): Quad {
  const node = new Quad(value + depth);
  if (!depth) return node;
  node.first = grow(depth - 1, value);
  node.second = grow(depth - 1, value + 1);
  node.third = grow(depth - 1, value + 2);
  node.fourth = grow(depth - 1, value + 3);
  return node;
}

function sum(node: Quad): f64 {
  let total: f64 = node.value;
  const first = node.first;
  if (!first) return total;
  total += sum(first);
  total += sum(node.second!);
  total += sum(node.third!);
  total += sum(node.fourth!);
  return total;
}
