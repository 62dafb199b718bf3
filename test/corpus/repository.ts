/**
 * Where things lie, whatever folder the compiler wrote to: the repository's root is the nearest folder above this
 * file that holds package.json, and the program under test was built beside the test that asks.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

/** A path inside the repository. */
export function repositoryPath(...parts: string[]): string {
  return join(rootAbove(here), ...parts);
}

/** The built entry of the same build as this file: `dist…/zerohop/main.js`. */
export const builtEntry = join(here, '..', '..', 'zerohop', 'main.js');

/** How a built entry says it wants to be run: this Node.js with the flags of the entry's first line, then the entry. */
export function commandOf(entry: string): readonly string[] {
  const [, flags = ''] = /^#!\S+ -S node(( --\S+)*)\n/.exec(readFileSync(entry, 'utf8')) ?? [];
  return [process.execPath, ...flags.split(' ').filter((flag) => flag !== ''), entry];
}

function rootAbove(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error(`no package.json above ${here}`);
  return rootAbove(parent);
}
