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
import type { Replacement, TrustedFile } from '../os/files.js';
import type { Log } from '../os/log.js';
import { inTurns } from '../scheduling/slices.js';
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
  /** Undefined without a file. Throws the reason not to use it. */
  open(path: string, bytesMax: number): TrustedFile | undefined;
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

  /** Why the file is not used, or its age; undefined without one. */
  async function loaded(): Promise<string | number | undefined> {
    const file = deps.open(path, snapshotBytesMax);
    if (file === undefined) return undefined;
    try {
      const checked = await inTurns(clock, checkSnapshot(file, momentOf(deps)));
      if (typeof checked !== 'object') return checked;
      await inTurns(
        clock,
        takeEntries(file, (chunk) => warmth.take(chunk, checked.laterMs)),
      );
      return checked.ageMs;
    } finally {
      file.close();
    }
  }

  async function load(): Promise<void> {
    isLoading = true;
    const result = await loaded()
      .catch((error: Error) => error.message)
      .finally(() => {
        isLoading = false;
      });
    if (typeof result === 'string') log.warn(`not using the cache snapshot ${path}: ${result}`);
    else if (result !== undefined) {
      log.info(`cache loaded from snapshot ${path}`, { ageSeconds: Math.round(result / 1000) });
    }
  }

  function writeLater(): void {
    timer = clock.after(snapshotPeriodMs, () => void writeNow().finally(writeLater));
  }

  /** In slices, between which queries are answered; given up when another writing has begun. */
  async function writeNow(): Promise<void> {
    if (!mayWrite()) return;
    try {
      const own = new Writing(deps.replace(path));
      writing = own;
      await inTurns(clock, own.slices(momentOf(deps), warmth.everything()), () => writing !== own);
    } catch (error) {
      failed(error as Error);
    }
  }

  /** Logs the first failure; the next period tries again. */
  function failed({ message }: Error): void {
    if (!hasComplained) log.error(`cannot write the cache snapshot ${path}: ${message}`);
    hasComplained = true;
    writing?.abandon();
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
      writing = null;
      if (!mayWrite()) return;
      try {
        writing = new Writing(deps.replace(path));
        for (const _ of writing.slices(momentOf(deps), warmth.everything()));
      } catch (error) {
        failed(error as Error);
      }
    },
  };
}

function momentOf({ bootId, clock }: SnapshotDeps): When {
  return { bootId, monotonicMs: clock.nowMs(), wallMs: clock.wallMs() };
}

class Writing {
  readonly #file: Replacement;
  readonly #hash: Hash = createHash('sha256');

  constructor(file: Replacement) {
    this.#file = file;
  }

  /** Writes everything and puts the file in place, a chunk per slice. */
  *slices(when: When, chunks: Iterator<Uint8Array>): Generator<void, void> {
    this.#write(magic);
    this.#part(Buffer.from(JSON.stringify(when)));
    for (let chunk = chunks.next(); chunk.done !== true; chunk = chunks.next()) {
      this.#part(chunk.value);
      yield;
    }
    this.#file.write(this.#hash.digest());
    this.#file.commit();
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

/** What to add to the file's times to get ours, and its age; or the reason not to use it. A part per slice. */
export function* checkSnapshot(
  file: Pick<TrustedFile, 'bytes' | 'read'>,
  now: When,
): Generator<void, { readonly laterMs: number; readonly ageMs: number } | string> {
  if (!magic.equals(file.read(0, magic.length))) return 'not a snapshot of this version';
  const hash = createHash('sha256').update(magic);
  const length = Buffer.alloc(4);
  let first: Uint8Array | null = null;
  let end = magic.length;
  for (const part of partsOf(file)) {
    length.writeUInt32LE(part.length);
    hash.update(length).update(part);
    end += length.length + part.length;
    first ??= part;
    yield;
  }
  if (!hash.digest().equals(file.read(end, file.bytes))) return 'incomplete';
  const written = first === null ? null : readWhen(Buffer.from(first).toString());
  if (written === null) return 'corrupt';
  const ageMs = written.bootId === now.bootId ? now.monotonicMs - written.monotonicMs : now.wallMs - written.wallMs;
  if (ageMs < 0) return 'written in the future; was the clock changed?';
  return { ageMs, laterMs: now.monotonicMs - ageMs - written.monotonicMs };
}

/** The chunks of a checked file, one per slice. */
function* takeEntries(file: TrustedFile, take: (chunk: Uint8Array) => void): Generator<void, void> {
  let isFirst = true;
  for (const part of partsOf(file)) {
    if (!isFirst) take(part);
    isFirst = false;
    yield;
  }
}

/** The parts between the first bytes and the digest, up to one that does not fit. */
function* partsOf(file: Pick<TrustedFile, 'bytes' | 'read'>): Generator<Uint8Array, void> {
  const end = file.bytes - digestBytes;
  for (let at = magic.length; at + 4 <= end; ) {
    const length = Buffer.from(file.read(at, 4)).readUInt32LE();
    const from = at + 4;
    if (length > handoverFrameBytesMax || from + length > end) return;
    yield file.read(from, length);
    at = from + length;
  }
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
