/**
 * The last lines of a run, in memory that another thread can read: what went on before a run stopped answering. A
 * ring of short texts; it is written by one thread and read when that one has failed or been ended.
 */

const linesMax = 40;
const lineBytesMax = 240;
const headBytes = 8;

export class Chronicle {
  readonly memory: SharedArrayBuffer;
  readonly #count: Uint32Array;
  readonly #bytes: Buffer;

  /** Without `memory` a new one; with it, the other end of the same. */
  constructor(memory = new SharedArrayBuffer(headBytes + linesMax * lineBytesMax)) {
    this.memory = memory;
    this.#count = new Uint32Array(memory, 0, 1);
    this.#bytes = Buffer.from(memory, headBytes);
  }

  /** Adds a line; what is longer than a line may be is cut. */
  note(line: string): void {
    const at = (this.#count[0] % linesMax) * lineBytesMax;
    this.#bytes.fill(0, at, at + lineBytesMax);
    this.#bytes.write(line, at, lineBytesMax, 'latin1');
    this.#count[0]++;
  }

  clear(): void {
    this.#count[0] = 0;
  }

  /** The lines that are still there, oldest first. */
  last(): string[] {
    const count = this.#count[0];
    const first = Math.max(0, count - linesMax);
    return Array.from({ length: count - first }, (_, index) => {
      const at = ((first + index) % linesMax) * lineBytesMax;
      return this.#bytes.toString('latin1', at, at + lineBytesMax).replace(/\0+$/, '');
    });
  }
}
