import { expect } from "vitest";

/** What the call throws. */
export function thrownBy(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return expect.unreachable("nothing was thrown");
}

/** What to hold an error against whose code ends with `name`. */
export const code = (name: string) => expect.objectContaining({ code: `ERR_TIDEMARK_${name}` });
