/**
 * Calling several parties that know nothing of each other. An exception of one is a bug of ours, and does not keep the
 * others from being called; it is thrown when all have been, so that it is reported as any other exception is.
 */

/** Calls `tell` with each of them, then throws what was thrown on the way. */
export function toEach<Party>(parties: Iterable<Party>, tell: (party: Party) => void): void {
  const thrown: unknown[] = [];
  for (const party of parties) {
    try {
      tell(party);
    } catch (error) {
      thrown.push(error);
    }
  }
  throwAll(thrown);
}

/** Does each of these, then throws what was thrown on the way. */
export function doAll(...all: readonly (() => unknown)[]): void {
  toEach(all, (one) => one());
}

/** Throws the one exception, or one that has the stacks of all; without any it returns. */
function throwAll(thrown: readonly unknown[]): void {
  if (thrown.length === 0) return;
  if (thrown.length === 1) throw thrown[0];
  const all = new AggregateError(thrown, thrown.map(String).join('; '));
  all.stack = thrown.map((error) => String((error as Error)?.stack ?? error)).join('\n');
  throw all;
}
