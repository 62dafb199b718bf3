/**
 * What outlives the process: maps and links as files of a bpf file system. Links keep the programs alive, and those the
 * maps that they read; the maps have names for the next process. Each network namespace has a folder of its own, because
 * interface numbers are a namespace's.
 *
 *   FOLDER / NAMESPACE / links / INTERFACE     whatever the layout of the maps
 *                      / LAYOUT / MAP          of this layout only
 */
import { readdirSync, renameSync, rmdirSync, unlinkSync } from 'node:fs';
import type { Bpf } from '../os/bpf.js';
import { makeFolders } from '../os/files.js';
import { layoutVersion } from './layout.js';
import type { LaneMap } from './text.js';

/** Maps that a successor looks into or goes on with. */
export const pinnedMaps = ['config', 'index', 'slots', 'marks', 'clients', 'interfaces'] as const satisfies LaneMap[];
export type PinnedMap = (typeof pinnedMaps)[number];

export class Pins {
  readonly #bpf: Bpf;
  readonly #folder: string;
  readonly #ownName: string;
  readonly #namespace: string;

  /** `namespace` is a file name. */
  constructor(bpf: Bpf, folder: string, namespace: string) {
    this.#bpf = bpf;
    this.#folder = folder;
    this.#ownName = namespace;
    this.#namespace = `${folder}/${namespace}`;
  }

  /** Makes the folders; the reason why they cannot be, or null. */
  prepare(): string | null {
    try {
      for (const part of ['links', layoutVersion]) makeFolders(`${this.#namespace}/${part}`, 0o700);
      return null;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    }
  }

  /** A descriptor of the map that is pinned there, or the negative errno. */
  openMap(map: PinnedMap): number {
    return this.#bpf.openPin(this.#mapPath(map));
  }

  /** In place of another map of that name; 0 or the negative errno. */
  pinMap(map: PinnedMap, fd: number): number {
    const path = this.#mapPath(map);
    // A dot in a name is refused.
    const next = this.#mapPath(`next-${map}`);
    removeFile(next);
    const result = this.#bpf.pin(fd, next);
    if (result === 0) renameSync(next, path);
    return result;
  }

  /** The interfaces with a pinned link. */
  links(): readonly number[] {
    return filesIn(`${this.#namespace}/links`).map(Number);
  }

  openLink(interfaceIndex: number): number {
    return this.#bpf.openPin(this.#linkPath(interfaceIndex));
  }

  pinLink(interfaceIndex: number, fd: number): number {
    return this.#bpf.pin(fd, this.#linkPath(interfaceIndex));
  }

  /** The kernel detaches a program whose last link is gone. */
  removeLink(interfaceIndex: number): void {
    removeFile(this.#linkPath(interfaceIndex));
  }

  /** Removes the maps of other layouts: their programs are replaced. */
  removeOtherLayouts(): void {
    for (const part of filesIn(this.#namespace)) {
      if (part !== 'links' && part !== layoutVersion) removeFolder(`${this.#namespace}/${part}`);
    }
  }

  /** Detaches and removes everything of our namespace. */
  removeOwn(): void {
    removeOwnPins(this.#folder, this.#ownName);
  }

  /** The config maps of other namespaces; of some layout that is ours. */
  *others(): Generator<{ readonly config: number; remove(): void }, void> {
    for (const name of filesIn(this.#folder)) {
      const path = `${this.#folder}/${name}`;
      if (path === this.#namespace) continue;
      const config = this.#bpf.openPin(`${path}/${layoutVersion}/config`);
      if (config >= 0) yield { config, remove: () => removeFolder(path) };
    }
  }

  #mapPath(map: PinnedMap | `next-${PinnedMap}`): string {
    return `${this.#namespace}/${layoutVersion}/${map}`;
  }

  #linkPath(interfaceIndex: number): string {
    return `${this.#namespace}/links/${interfaceIndex}`;
  }
}

/** Detaches and removes everything of one namespace; how many pins there were. Throws where it may not. */
export function removeOwnPins(folder: string, namespace: string): number {
  const count = removeFolder(`${folder}/${namespace}`);
  removeEmpty(folder);
  return count;
}

/** Removes all pins of all namespaces; how many there were. Throws where it may not. */
export function removeAllPins(folder: string): number {
  let count = 0;
  for (const namespace of filesIn(folder)) count += removeFolder(`${folder}/${namespace}`);
  removeEmpty(folder);
  return count;
}

/** Links first: a program without maps to be found is of no use to anybody. */
function removeFolder(path: string): number {
  let count = 0;
  const names = [...filesIn(path)].sort((one, other) => Number(other === 'links') - Number(one === 'links'));
  for (const name of names) {
    const inside = filesIn(`${path}/${name}`);
    if (inside.length === 0 && removeFile(`${path}/${name}`)) count++;
    else count += removeFolder(`${path}/${name}`);
  }
  removeEmpty(path);
  return count;
}

function filesIn(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Whether there was a file and it is gone. Throws where it may not be removed. */
function removeFile(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'EISDIR' || code === 'ENOTDIR') return false;
    throw error;
  }
}

function removeEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Somebody else's file is in it, or it is not there.
  }
}
