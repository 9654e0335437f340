// Rings: doubly linked lists whose last member is followed by the first, with one word that names the first.

import { Address } from "./alignment";

/** What a member of a ring begins with. */
@unmanaged
export class RingMember {
  next: Address;
  previous: Address;
}

/** Puts `member` at the end of the ring whose first member is named by the word at `head`. */
export function joinRing(head: Address, member: Address): void {
  const node = changetype<RingMember>(member);
  const first = load<Address>(head);
  if (!first) {
    node.next = member;
    node.previous = member;
    store<Address>(head, member);
    return;
  }
  const last = changetype<RingMember>(first).previous;
  node.next = first;
  node.previous = last;
  changetype<RingMember>(last).next = member;
  changetype<RingMember>(first).previous = member;
}

/** Takes `member` out of the ring whose first member is named by the word at `head`. */
export function leaveRing(head: Address, member: Address): void {
  const node = changetype<RingMember>(member);
  const next = node.next;
  if (next == member) {
    store<Address>(head, 0);
    return;
  }
  changetype<RingMember>(next).previous = node.previous;
  changetype<RingMember>(node.previous).next = next;
  if (load<Address>(head) == member) store<Address>(head, next);
}
