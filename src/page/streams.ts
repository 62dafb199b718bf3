/**
 * The open pages: each reads a stream of server-sent events (WHATWG HTML 9.2). What is sent is encoded once for all. A
 * page that does not read gets nothing more, and is disconnected when it has missed a few updates, so at most one
 * update waits for each.
 */
import { Readable } from 'node:stream';
import { pageStreamsMax, pageUnreadMax } from '../limits.js';

interface OpenStream {
  readonly stream: Readable;
  /** Updates in a row that it was too slow for. */
  missed: number;
}

export class Streams {
  readonly #open = new Set<OpenStream>();
  readonly #changed: (open: number) => void;

  /** `changed` is called with the number of open streams when it changes. */
  constructor(changed: (open: number) => void) {
    this.#changed = changed;
  }

  /** Null if there are too many. */
  open(): Readable | null {
    if (this.#open.size >= pageStreamsMax) return null;
    const stream = new Readable({ read() {} });
    const one = { stream, missed: 0 };
    stream.once('close', () => {
      if (this.#open.delete(one)) this.#changed(this.#open.size);
    });
    this.#open.add(one);
    this.#changed(this.#open.size);
    return stream;
  }

  send(text: string): void {
    if (this.#open.size === 0) return;
    const bytes = Buffer.from(text, 'utf8');
    for (const one of [...this.#open]) {
      if (one.stream.readableLength === 0) {
        one.missed = 0;
        one.stream.push(bytes);
      } else if (++one.missed > pageUnreadMax) one.stream.destroy();
    }
  }

  /** Ends all; the pages connect again, to a successor if there is one. */
  stop(): void {
    for (const { stream } of [...this.#open]) stream.push(null);
  }
}

/** An event with its data as JSON, which has no line ends. */
export function eventText(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
