/**
 * Files. Those that the program writes are written beside the old one and renamed, so readers see one or the other.
 * Others may be able to write to the folder: temporary names are unguessable, links are not followed, and files that
 * others may have written are not read.
 */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Random } from './random.js';

/** Of a small file, as those of /proc; undefined: it cannot be read. */
export function readTextFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/**
 * Makes the folder and those that it is in, with this mode. Throws the system's error. `recursive` of Node.js 20 and 24
 * tries without an end where ENOENT is the refusal, as in /proc and /sys.
 */
export function makeFolders(path: string, mode: number): void {
  try {
    makeFolder(path, mode);
  } catch (error) {
    const parent = dirname(path);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === path) throw error;
    makeFolders(parent, mode);
    makeFolder(path, mode);
  }
}

function makeFolder(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

export interface Replacement {
  write(bytes: Uint8Array): void;
  /** Renames it into place. Throws the system's error; the old file stays then. */
  commit(): void;
  /** Removes it unless it is in place; never throws. */
  abandon(): void;
}

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;
const ownerOnly = 0o600;
const readableByAll = 0o644;
const writableByOthers = 0o022;
/** An untouched file of this age belongs to an instance that died; a living one writes in every turn. */
const leftoverAgeMs = 60_000;

/** Begins a file for its owner only, unsynced because its reader verifies a checksum. Throws the system's error. */
export function replaceWhole(path: string, random: Random): Replacement {
  return beside(path, random, ownerOnly);
}

/** Writes `text` to `path`, readable by all, and syncs it before the rename. Throws, and leaves the old file. */
export function replaceText(path: string, text: string, random: Random): void {
  const file = beside(path, random, readableByAll, fsyncSync);
  try {
    file.write(Buffer.from(text));
    file.commit();
  } finally {
    file.abandon();
  }
}

function beside(path: string, random: Random, mode: number, sync: (file: number) => void = () => {}): Replacement {
  const name = `${path}.${hexWord(random)}${hexWord(random)}.new`;
  const file = openSync(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  removeLeftovers(path, fstatSync(file).mtimeMs);
  let isOpen = true;
  let isOver = false;
  function close(): void {
    if (isOpen) closeSync(file);
    isOpen = false;
  }
  return {
    write(bytes) {
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    },
    commit() {
      sync(file);
      close();
      renameSync(name, path);
      isOver = true;
    },
    abandon() {
      if (isOver) return;
      isOver = true;
      quietly(close);
      quietly(() => rmSync(name, { force: true }));
    },
  };
}

/** Removes files of instances that died; `nowMs` is the file system's clock. */
function removeLeftovers(path: string, nowMs: number): void {
  const folder = dirname(path);
  const start = `${basename(path)}.`;
  quietly(() => {
    for (const name of readdirSync(folder)) {
      if (!name.startsWith(start) || !/^[0-9a-f]+\.new$/u.test(name.slice(start.length))) continue;
      const leftover = join(folder, name);
      quietly(() => {
        if (lstatSync(leftover).mtimeMs <= nowMs - leftoverAgeMs) rmSync(leftover);
      });
    }
  });
}

/** Ignores failures: the next instance tries again. */
function quietly(run: () => void): void {
  try {
    run();
  } catch {}
}

function hexWord(random: Random): string {
  return random
    .below(2 ** 32)
    .toString(16)
    .padStart(8, '0');
}

/** A file that only we and root can have written. */
export interface TrustedFile {
  readonly bytes: number;
  /** A copy of so many bytes from there on, fewer at the end. */
  read(at: number, length: number): Uint8Array;
  close(): void;
}

/**
 * Undefined without a file. Throws the system's error, or for a link, no regular file, another owner, write permission for
 * others, or more than `bytesMax` bytes.
 */
export function openTrusted(path: string, bytesMax: number): TrustedFile | undefined {
  const file = openToRead(path);
  if (file === undefined) return undefined;
  try {
    const stats = fstatSync(file);
    const distrust = whyDistrusted(stats);
    if (distrust !== null) throw new Error(distrust);
    if (stats.size > bytesMax) throw new Error(`larger than ${bytesMax} bytes; remove it`);
    return {
      bytes: stats.size,
      read: (at, length) => readAt(file, at, Math.max(0, Math.min(length, stats.size - at))),
      close: () => closeSync(file),
    };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

function readAt(file: number, at: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let got = 0;
  for (let read = -1; read !== 0 && got < length; got += read)
    read = readSync(file, bytes, got, length - got, at + got);
  return bytes.subarray(0, got);
}

/** The whole of it; the same conditions. */
export function readTrusted(path: string, bytesMax: number): Uint8Array | undefined {
  const file = openTrusted(path, bytesMax);
  try {
    return file?.read(0, file.bytes);
  } finally {
    file?.close();
  }
}

/** Non-blocking: a pipe without a writer would block. */
function openToRead(path: string): number | undefined {
  try {
    return openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (code === 'ELOOP') throw new Error('a symbolic link, which zerohop does not follow; name the file itself');
    if (code === 'ENXIO') throw new Error('not a regular file; remove it');
    throw error;
  }
}

function whyDistrusted(stats: Stats): string | null {
  if (!stats.isFile()) return 'not a regular file; remove it';
  if (stats.uid !== 0 && stats.uid !== process.geteuid?.()) {
    return `owned by user ${stats.uid}, not trusted; remove it`;
  }
  return (stats.mode & writableByOthers) === 0 ? null : 'writable by other users; remove it, or chmod go-w';
}

/** The first `bytesMax` bytes in pieces, read by a thread of Node.js; undefined when the file cannot be read. */
export type ReadPieces = (path: string, bytesMax: number) => Promise<readonly Uint8Array[] | undefined>;

/** Copied and digested in a millisecond or two. */
const pieceBytes = 256 * 1024;

export const readPieces: ReadPieces = async (path, bytesMax) => {
  try {
    const file = await open(path, 'r');
    try {
      const pieces: Uint8Array[] = [];
      for (let left = bytesMax; left > 0; ) {
        const piece = new Uint8Array(Math.min(left, pieceBytes));
        const { bytesRead } = await file.read(piece, 0, piece.length);
        if (bytesRead === 0) break;
        pieces.push(piece.subarray(0, bytesRead));
        left -= bytesRead;
      }
      return pieces;
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
};
