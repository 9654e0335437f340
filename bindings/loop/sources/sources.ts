import type { LinearMemory } from "../../memory/linearMemory.js";
import type { EventKind } from "../kind.js";
import type { SourceStream } from "./detect.js";
import type { SourceOptions } from "./options.js";
import { Source, type SourceLoop } from "./source.js";

/** The sources of one loop, from their making to their end. */
export class Sources {
  readonly #open = new Set<Source>();

  /** Makes and opens a source; see `loop.source()`. */
  add(loop: SourceLoop, memory: LinearMemory, kind: EventKind, stream: SourceStream, options: SourceOptions): Source {
    const source = new Source(loop, memory, kind, stream, options, (ended) => this.#open.delete(ended));
    this.#open.add(source);
    source.$open();
    return source;
  }

  /** The loop accepts no more. Throws nothing. */
  loopClosing(): void {
    for (const source of this.#open) source.$loopClosing();
  }

  /** The loop handles no more. Throws nothing. */
  loopClosed(): void {
    for (const source of this.#open) source.$loopClosed();
  }
}
