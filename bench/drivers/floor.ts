/**
 * The least machinery that brings queued messages to handlers by their kind: what a loop cannot be faster than.
 *
 * @param capacity messages that may wait, a power of two
 */
export function makeFloor<Payload>(handlers: readonly ((payload: Payload) => void)[], capacity: number) {
  const slots = capacity; // which engines know not to change
  const kinds = new Int32Array(slots);
  const payloads = new Array<Payload | undefined>(slots).fill(undefined);
  let head = 0;
  let tail = 0;
  return {
    post(kind: number, payload: Payload): boolean {
      if (tail - head === slots) return false;
      const slot = tail & (slots - 1);
      kinds[slot] = kind;
      payloads[slot] = payload;
      tail++;
      return true;
    },
    drain(): void {
      while (head !== tail) {
        const slot = head & (slots - 1);
        const payload = payloads[slot]!;
        payloads[slot] = undefined;
        head++;
        handlers[kinds[slot]!]!(payload);
      }
    },
  };
}
