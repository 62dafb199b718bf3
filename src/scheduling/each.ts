/**
 * Calls to several independent parties: an exception of one, which is a bug, does not keep the others from being
 * called. It is thrown after all calls, so that it is reported like any other.
 */

/** Calls `tell` with each of them, then throws what was thrown. */
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

/** Calls each of these, then throws what was thrown. */
export function doAll(...all: readonly (() => unknown)[]): void {
  toEach(all, (one) => one());
}

/** Throws the exception, or one with the stacks of all. */
function throwAll(thrown: readonly unknown[]): void {
  if (thrown.length === 0) return;
  if (thrown.length === 1) throw thrown[0];
  const all = new AggregateError(thrown, thrown.map(String).join('; '));
  all.stack = thrown.map((error) => String((error as Error)?.stack ?? error)).join('\n');
  throw all;
}
