/**
 * A reporter of node:test beside the usual one: at the end it says how many tests were skipped, and what each needs.
 * A group of tests that is skipped as a whole counts once. Node.js loads it by --test-reporter.
 */

/** What it reads of an event of node:test. */
export interface ReportedEvent {
  readonly type: string;
  readonly data: { readonly skip?: string | boolean };
}

export default async function* skipped(events: AsyncIterable<ReportedEvent>): AsyncGenerator<string> {
  const counts = new Map<string, number>();
  let total = 0;
  for await (const { type, data } of events) {
    if (type !== 'test:pass' || data.skip === undefined || data.skip === false) continue;
    total += 1;
    for (const each of reasonsIn(data.skip)) counts.set(each, (counts.get(each) ?? 0) + 1);
  }
  if (total === 0) return;
  yield `\n${total} tests or groups of tests were skipped:\n`;
  const rows = [...counts].sort(([one, many], [other, more]) => more - many || one.localeCompare(other));
  for (const [reason, count] of rows) yield `${String(count).padStart(6)}  ${reason}\n`;
}

/** `needs root, ip` lacks two things; any other reason stands as it is. */
function reasonsIn(reason: string | true): readonly string[] {
  if (reason === true) return ['(no reason given)'];
  const needed = /^needs (.+)$/u.exec(reason)?.[1];
  return needed === undefined ? [reason] : needed.split(', ').map((lack) => `needs ${lack}`);
}
