/** The known word that somebody who wrote another one probably meant. */

/** The word of `known` that takes the fewest edits to reach, if at most a third of its letters differ. */
export function nearest(written: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestEdits = Number.POSITIVE_INFINITY;
  const wanted = written.slice(0, wordLengthMax).toLowerCase();
  for (const word of known) {
    const edits = editsBetween(wanted, word.toLowerCase());
    if (edits < bestEdits && edits <= Math.max(1, Math.floor(word.length / 3))) {
      best = word;
      bestEdits = edits;
    }
  }
  return best;
}

/** Longer words are nobody's typing error; it bounds the table below. */
const wordLengthMax = 64;

/** Insertions, deletions, changes and swaps of neighbours (optimal string alignment). */
function editsBetween(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const change = from[row - 1] === to[column - 1] ? 0 : 1;
      let edits = Math.min(last[column] + 1, current[column - 1] + 1, last[column - 1] + change);
      if (row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]) {
        edits = Math.min(edits, beforeLast[column - 2] + 1);
      }
      current.push(edits);
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length];
}
