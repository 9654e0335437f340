import { InvalidArgumentError } from "../errors.js";
import { Bytes } from "../layout/bytes.js";

/** The bytes of a fiber's frame. While a fiber has it, it shows nothing else: the fiber would give that back in its place. */
export class FiberFrame extends Bytes {
  isHeld = false;

  override $assertMovable(operation: string): void {
    if (this.isHeld)
      throw new InvalidArgumentError(`${operation}: a fiber's frame shows nothing else while it has one`);
  }
}
