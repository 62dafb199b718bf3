/**
 * The cache as a file, for the restart of an instance without a peer. It is written periodically and at the end, beside
 * the old file and then renamed; a torn, changed or incompatible file is ignored with one log line.
 *
 *   | "zerohop cache 1\n" | length | when, as JSON | length | chunk | … | SHA-256 of all before |
 *
 * Times are monotonic ones of the boot in which the file was written; after another boot the wall clock tells its age.
 * Entries keep their age, so an expired one is only served as any stale answer is.
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
  /** The machine's boot; monotonic times mean nothing in another. */
  readonly bootId: string;
  /** Whether this instance serves: a standby's cache is old, and the file belongs to the serving instance. */
  serves(): boolean;
  /** The file's bytes, undefined without one. Throws the reason not to use it. */
  read(path: string, bytesMax: number): Uint8Array | undefined;
  replace(path: string): Replacement;
}

export interface Snapshot {
  /** Loads the file into the cache in parts, serving queries in between. */
  load(): Promise<void>;
  /** Starts periodic writing, as this instance serves from now on. */
  keep(): void;
  /** Writes a last time, synchronously, if this instance has served, still does, and has loaded the whole file. */
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

  /** An emptier cache must not replace the file, as after a failed start. */
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

  /** One chunk per turn of the event loop, so that queries are answered in between. */
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

  /** Logs the first failure; the next period tries again. */
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

/** The file's content, the reason not to use it, or undefined without a file. */
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

/** The chunks, and what to add to their times to get ours; or the reason not to use the file. */
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
