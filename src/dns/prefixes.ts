/** Views of the first bytes of one memory, each made once: a view for each message would be 96 bytes of garbage. */
import { udpBytesDefault } from '../limits.js';

export class Prefixes {
  readonly whole: Uint8Array;
  /** By length, up to that of a UDP message. Longer messages cost more than their view. */
  readonly #views: (Uint8Array | null)[] = new Array(udpBytesDefault + 1).fill(null);

  constructor(whole: Uint8Array) {
    this.whole = whole;
  }

  of(bytes: number): Uint8Array {
    if (bytes >= this.#views.length) return this.whole.subarray(0, bytes);
    let view = this.#views[bytes];
    if (view === null) {
      view = this.whole.subarray(0, bytes);
      this.#views[bytes] = view;
    }
    return view;
  }
}
