/**
 * The cache as a file, so that an instance that was alone and died is warm when it starts again. Written every so
 * often and at the end, beside the old one and then in its place; a file that is torn, changed or of another form is
 * not used, and costs one line in the log.
 *
 *   | "zerohop cache 1\n" | length | when, as JSON | length | chunk | … | SHA-256 of all before |
 *
 * Moments are monotonic ones of the boot in which it was written; after another boot the wall clock tells how long
 * ago that was. An answer is as old as it is, so what has run out may only be given as any other stale answer.
 */
import { createHash, type Hash } from 'node:crypto';
import { handoverFrameBytesMax, snapshotBytesMax, snapshotPeriodMs } from '../limits.js';
import type { Clock, Timer } from '../os/clock.js';
import type { Replacement } from '../os/files.js';
import type { Log } from '../os/log.js';
import type { Warmth } from './succession.js';

export interface SnapshotDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly warmth: Pick<Warmth, 'everything' | 'take'>;
  readonly path: string;
  /** Which boot of the machine this is; a monotonic clock means nothing in another. */
  readonly bootId: string;
  /** Whether this instance answers now: what one that stands by holds is old, and the file is not its to write. */
  serves(): boolean;
  /** The file's bytes, undefined when there is none. Throws why it is not to be used. */
  read(path: string, bytesMax: number): Uint8Array | undefined;
  /** May throw the system's error. */
  replace(path: string): Replacement;
}

export interface Snapshot {
  /** Takes what the file has, a part at a time, clients first. */
  load(): Promise<void>;
  /** Writes it from now on every so often: this instance has begun to serve. */
  keep(): void;
  /** Writes it a last time, at once, if this instance has served and still does, and has all that the file had. */
  finish(): void;
}

const magic = Buffer.from('zerohop cache 1\n');
const digestBytes = 32;

interface When {
  readonly bootId: string;
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export function newSnapshot(deps: SnapshotDeps): Snapshot {
  const { clock, log, path, warmth } = deps;
  let timer: Timer | null = null;
  let hasComplained = false;
  let writing: Writing | null = null;
  let isKept = false;
  let isLoading = false;

  /** A cache that has less than the file must not replace it: after a start that failed the cache is empty. */
  const mayWrite = (): boolean => isKept && !isLoading && deps.serves();

  async function load(): Promise<void> {
    const read = readSafely(deps);
    if (read === undefined) return;
    if (typeof read === 'string') return log.warn(`not using the cache snapshot ${path}: ${read}`);
    isLoading = true;
    try {
      for (const chunk of read.chunks) {
        warmth.take(chunk, read.laterMs);
        await new Promise<void>((resolve) => clock.after(0, resolve));
      }
    } finally {
      isLoading = false;
    }
    log.info(`cache loaded from snapshot ${path}`, { ageSeconds: Math.round(read.ageMs / 1000) });
  }

  /** A chunk a turn, so that clients are answered in between. */
  function writeNext(): void {
    if (writing === null) return;
    if (attempt(() => writing!.next()) === 'more') timer = clock.after(0, writeNext);
    else writeLater();
  }

  function writeLater(): void {
    writing = null;
    timer = clock.after(snapshotPeriodMs, () => {
      if (!mayWrite()) return writeLater();
      attempt(() => {
        writing = beginWriting(deps);
        return 'more';
      });
      if (writing === null) writeLater();
      else writeNext();
    });
  }

  /** What a file system refuses is said once; it is tried again all the same. */
  function attempt(run: () => 'more' | 'done'): 'more' | 'done' {
    try {
      return run();
    } catch (error) {
      if (!hasComplained) log.error(`cannot write the cache snapshot ${path}: ${(error as Error).message}`);
      hasComplained = true;
      writing?.abandon();
      return 'done';
    }
  }

  return {
    load,
    keep() {
      isKept = true;
      writeLater();
    },
    finish() {
      timer?.stop();
      writing?.abandon();
      if (!mayWrite()) return;
      attempt(() => {
        writing = beginWriting(deps);
        while (writing.next() === 'more');
        return 'done';
      });
    },
  };
}

/** What the file holds; why it is not to be used, or undefined when there is none. */
function readSafely(deps: SnapshotDeps): ReturnType<typeof readSnapshot> | undefined {
  try {
    const bytes = deps.read(deps.path, snapshotBytesMax);
    return bytes === undefined ? undefined : readSnapshot(bytes, momentOf(deps));
  } catch (error) {
    return (error as Error).message;
  }
}

function beginWriting(deps: SnapshotDeps): Writing {
  const when = momentOf(deps);
  return new Writing(deps.replace(deps.path), when, deps.warmth.everything());
}

function momentOf({ bootId, clock }: SnapshotDeps): When {
  return { bootId, monotonicMs: clock.nowMs(), wallMs: clock.wallMs() };
}

class Writing {
  readonly #file: Replacement;
  readonly #hash: Hash = createHash('sha256');
  readonly #chunks: Iterator<Uint8Array>;

  constructor(file: Replacement, when: When, chunks: Iterator<Uint8Array>) {
    this.#file = file;
    this.#chunks = chunks;
    this.#write(magic);
    this.#part(Buffer.from(JSON.stringify(when)));
  }

  next(): 'more' | 'done' {
    const { value, done } = this.#chunks.next();
    if (done !== true) {
      this.#part(value);
      return 'more';
    }
    this.#file.write(this.#hash.digest());
    this.#file.commit();
    return 'done';
  }

  abandon(): void {
    this.#file.abandon();
  }

  #part(bytes: Uint8Array): void {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    this.#write(length);
    this.#write(bytes);
  }

  #write(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#file.write(bytes);
  }
}

/** The chunks, and what to add to their moments to have ours; or in a few words why it is of no use. */
export function readSnapshot(
  bytes: Uint8Array,
  now: When,
): { readonly chunks: readonly Uint8Array[]; readonly laterMs: number; readonly ageMs: number } | string {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = file.length - digestBytes;
  if (!file.subarray(0, magic.length).equals(magic)) return 'not a snapshot of this version';
  const digest = createHash('sha256')
    .update(file.subarray(0, Math.max(0, end)))
    .digest();
  if (!digest.equals(file.subarray(Math.max(0, end)))) return 'incomplete';
  const parts: Buffer[] = [];
  for (let at = magic.length; at < end; ) {
    const from = at + 4;
    const length = from <= end ? file.readUInt32LE(at) : handoverFrameBytesMax;
    if (length > handoverFrameBytesMax || from + length > end) return 'corrupt';
    parts.push(file.subarray(from, from + length));
    at = from + length;
  }
  const [when, ...chunks] = parts;
  const written = when === undefined ? null : readWhen(when.toString());
  if (written === null) return 'corrupt';
  const ageMs = written.bootId === now.bootId ? now.monotonicMs - written.monotonicMs : now.wallMs - written.wallMs;
  if (ageMs < 0) return 'written in the future; was the clock changed?';
  return { chunks, ageMs, laterMs: now.monotonicMs - ageMs - written.monotonicMs };
}

function readWhen(text: string): When | null {
  try {
    const { bootId, monotonicMs, wallMs } = JSON.parse(text);
    return typeof bootId === 'string' && Number.isFinite(monotonicMs) && Number.isFinite(wallMs)
      ? { bootId, monotonicMs, wallMs }
      : null;
  } catch {
    return null;
  }
}
