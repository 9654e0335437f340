import type { CursorOf, Fields } from "../layout/struct.js";
import type { Cells } from "./cells.js";

/** Goes through the cells in use by their addresses, with one cursor and one result, so that a step makes no garbage. */
export class PoolIterator<F extends Fields> implements IterableIterator<CursorOf<F>> {
  readonly #cells: Cells;
  readonly #cursor: CursorOf<F>;
  readonly #result: { done: boolean; value: CursorOf<F> };
  /** The address of the cell that was shown last; its own, since the program may move the cursor. */
  #shown = 0;

  constructor(cells: Cells, cursor: CursorOf<F>) {
    this.#cells = cells;
    this.#cursor = cursor;
    this.#result = { done: false, value: cursor };
  }

  next(): IteratorResult<CursorOf<F>> {
    const result = this.#result;
    if (!result.done) {
      this.#cells.address("iteration");
      result.done = !this.#cells.next(this.#shown, this.#cursor);
      this.#shown = this.#cursor.$address;
      if (result.done) result.value = undefined as never;
    }
    return result;
  }

  return(): IteratorResult<CursorOf<F>> {
    this.#result.done = true;
    this.#result.value = undefined as never;
    return this.#result;
  }

  [Symbol.iterator](): this {
    return this;
  }
}
