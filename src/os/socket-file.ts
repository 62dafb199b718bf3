/**
 * The file of a listening unix socket: bound beside its path and renamed, so that somebody is always at the path, and
 * removed only by the process whose socket it is.
 */
import { chmodSync, lstatSync, renameSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeFolders } from './files.js';
import type { Random } from './random.js';

export class SocketFile {
  /** Where the socket is bound at first. */
  readonly first: string;
  readonly #path: string;
  #inode = 0;

  constructor(path: string, random: Random) {
    this.#path = path;
    this.first = join(dirname(path), `.${random.below(2 ** 32).toString(36)}`);
  }

  /** Throws the system's error. */
  makeFolder(): void {
    makeFolders(dirname(this.#path), 0o700);
  }

  /** Lets only the owner connect. Throws the system's error. */
  keepToOwner(): void {
    chmodSync(this.first, 0o600);
  }

  /** Replaces what is at the path. Throws the system's error. */
  put(): void {
    renameSync(this.first, this.#path);
    this.#inode = inodeAt(this.#path);
  }

  isInPlace(): boolean {
    return this.#inode !== 0 && inodeAt(this.#path) === this.#inode;
  }

  /** Removes the file that is not in place yet, or the one at the path if it is still ours; never throws. */
  remove(): void {
    if (this.#inode === 0) removed(this.first);
    else if (this.isInPlace()) removed(this.#path);
  }
}

function inodeAt(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.ino ?? 0;
}

function removed(path: string): void {
  try {
    unlinkSync(path);
  } catch {}
}
