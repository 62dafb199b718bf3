/** Patterns of names for those who watch queries: `*` stands for any characters, dots included, `?` for one. */
import { nameBytesMax } from '../limits.js';
import { lowerCaseName } from './names.js';

/** As text in lower case, with its closing dot or star. */
export type NameGlob = string;

/** Undefined for a pattern that no name could fit because it is empty or too long. */
export function readNameGlob(text: string): NameGlob | undefined {
  if (text === '' || text.length > 4 * nameBytesMax) return undefined;
  const glob = lowerCaseName(text);
  return glob.endsWith('.') || glob.endsWith('*') ? glob : `${glob}.`;
}

/** Whether the name, as `wireToName` writes it, fits; its case does not matter. At most name times pattern steps. */
export function fitsGlob(name: string, glob: NameGlob): boolean {
  const text = lowerCaseName(name);
  let at = 0;
  let globAt = 0;
  // Where the last star stands, and what it stands for ends.
  let starAt = -1;
  let starEnd = 0;
  while (at < text.length) {
    const wanted = glob[globAt];
    if (wanted === '*') {
      starAt = globAt++;
      starEnd = at;
    } else if (wanted === '?' || wanted === text[at]) {
      at++;
      globAt++;
    } else if (starAt >= 0) {
      at = ++starEnd;
      globAt = starAt + 1;
    } else {
      return false;
    }
  }
  while (glob[globAt] === '*') globAt++;
  return globAt === glob.length;
}
