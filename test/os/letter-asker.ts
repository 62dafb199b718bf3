/**
 * What workers ask by themselves in their tests, beside letters.ts: packets that begin with `hq`. The test says what the
 * upstream's message is, and when it comes; its first letter says what it means: `d` is deferred, `f` is a failure and
 * deferred, `t` throws, `n` gives the client nothing, `j` the cache. Any other is the client's answer, and, behind a dash,
 * the cache's.
 */
import type { Slot } from '../../src/dns/answer.js';
import type { Asker, DirectAsking, RowsEnded } from '../../src/listen/asking.js';
import type { Received } from '../../src/listen/message-batch.js';
import { linux, type SystemCalls } from '../../src/os/system-calls.js';

export const answerMs = 5;

type UpstreamMessage = Parameters<DirectAsking<string>['answer']>[2];

export class LetterAsker implements DirectAsking<string>, Asker<string> {
  sweepAtMs = Number.POSITIVE_INFINITY;
  isWilling = true;
  wasTrouble = false;
  isUrgent = false;
  /** What is thrown by the next read. */
  broken: Error | null = null;
  /** What follow was told. */
  readonly followed: (readonly string[])[] = [];
  /** The rows under way with their packets. */
  readonly rows = new Map<number, string>();
  /** What could have been asked and was not. */
  readonly deferredPackets: string[] = [];
  /** What was flushed, as it was asked: so many rows at once. */
  readonly flushed: number[] = [];
  /** Of each message: whether it was of use. */
  readonly ofUse: boolean[] = [];
  /** What each answer came with. */
  readonly came: (Omit<UpstreamMessage, 'message'> & Pick<Received, 'family'>)[] = [];
  /** Given up by the next flush, or by the next sweep. */
  readonly lostInFlush: number[] = [];
  readonly slow: number[] = [];
  readonly #calls: SystemCalls;
  readonly #upstream: (text: string) => string | null;
  readonly #fd: number;
  readonly #wordAt: number;
  readonly #word = new BigUint64Array(1);
  readonly #messages: [number, string][] = [];
  #asked: number[] = [];
  #ended!: RowsEnded;
  #forCache = '';

  /** `upstream` says what comes for a packet as soon as it is asked; null: nothing comes by itself. */
  constructor(calls: SystemCalls, upstream: (text: string) => string | null = () => null) {
    this.#calls = calls;
    this.#upstream = upstream;
    this.#fd = calls.eventFd();
    this.#wordAt = calls.addressOf(this.#word.buffer);
  }

  get owed(): number {
    return this.rows.size;
  }

  /** The upstream's message for the row has come. */
  comes(row: number, message: string): void {
    this.#messages.push([row, message]);
    this.#word[0] = 1n;
    this.#calls.write(this.#fd, this.#wordAt, 8);
  }

  close(): void {
    this.#calls.close(this.#fd);
  }

  mayAsk(): boolean {
    return this.isWilling;
  }

  deferred({ packet, length }: Received): void {
    this.deferredPackets.push(Buffer.from(packet.subarray(0, length)).toString('latin1'));
  }

  open(ended: RowsEnded): Asker<string> {
    this.#ended = ended;
    return this;
  }

  answer(_row: number, { packet, length, family }: Received, came: UpstreamMessage, slot: Slot): number {
    const { message, ...times } = came;
    this.came.push({ ...times, family });
    const said = Buffer.from(message).toString('latin1');
    this.wasTrouble = said[0] === 'f';
    if (said[0] === 't') throw new Error('a message that throws');
    if (said[0] === 'd' || said[0] === 'f') return -1;
    this.#forCache = said[0] === 'j' ? '' : `-${said}`;
    if (said[0] === 'n') return 0;
    const text = `${said} to ${Buffer.from(packet.subarray(0, length)).toString('latin1')}`;
    slot.bytes.set(Buffer.from(text, 'latin1'));
    return text.length;
  }

  forCache(): Uint8Array {
    return Buffer.from(this.#forCache, 'latin1');
  }

  follow(tables: readonly string[]): void {
    this.followed.push(tables);
    this.giveUpAll();
  }

  ask(row: number, { packet, length }: Received): boolean {
    const text = Buffer.from(packet.subarray(0, length)).toString('latin1');
    if (!text.startsWith('hq')) return false;
    this.rows.set(row, text);
    this.#asked.push(row);
    return true;
  }

  flush(): void {
    const asked = this.#asked;
    this.#asked = [];
    if (asked.length > 0) this.flushed.push(asked.length);
    for (const row of asked) {
      const message = this.#upstream(this.rows.get(row) ?? '');
      if (message !== null) this.comes(row, message);
    }
    for (const row of this.lostInFlush.splice(0)) this.#giveUp(row);
  }

  watch(entries: Int32Array, at: number): number {
    entries[at * 2] = this.#fd;
    entries[at * 2 + 1] = linux.pollIn;
    return 1;
  }

  read(entries: Int32Array, at: number): void {
    if (entries[at * 2 + 1] >> 16 === 0) return;
    this.#calls.read(this.#fd, this.#wordAt, 8);
    if (this.broken !== null) throw this.broken;
    for (const [row, message] of this.#messages.splice(0)) {
      if (!this.rows.delete(row)) continue;
      this.ofUse.push(this.#ended.answered(row, Buffer.from(message, 'latin1'), answerMs));
    }
  }

  sweep(): void {
    this.sweepAtMs = Number.POSITIVE_INFINITY;
    for (const row of this.slow.splice(0)) this.#giveUp(row);
  }

  giveUpAll(): void {
    for (const row of [...this.rows.keys()]) this.#giveUp(row);
  }

  #giveUp(row: number): void {
    if (this.rows.delete(row)) this.#ended.givenUp(row);
  }
}
