/** What the kernel says of its table of connections (Documentation/networking/nf_conntrack-sysctl.rst). */

export interface ConntrackNumbers {
  readonly entries: number;
  readonly entriesMax: number;
  /**
   * Since the node's start, summed over its processors. `insertFailed`: another packet has just made the same entry, as
   * with A and AAAA from one socket. `drop`: the table was full. `earlyDrop`: another entry made room. Null: not told.
   */
  readonly insertFailed: number | null;
  readonly drop: number | null;
  readonly earlyDrop: number | null;
}

/** `read` gives a file; undefined when it cannot. Null where the kernel has no table of connections for us. */
export function conntrackNumbers(read: (path: string) => string | undefined): ConntrackNumbers | null {
  const entries = wholeNumberIn(read('/proc/sys/net/netfilter/nf_conntrack_count'));
  const entriesMax = wholeNumberIn(read('/proc/sys/net/netfilter/nf_conntrack_max'));
  if (entries === null || entriesMax === null) return null;
  const [names = '', ...rows] = (read('/proc/net/stat/nf_conntrack') ?? '').trim().split('\n');
  const columns = names.trim().split(/\s+/);
  const total = (name: string): number | null => {
    const column = columns.indexOf(name);
    if (column < 0) return null;
    const values = rows.map((row) => Number.parseInt(row.trim().split(/\s+/)[column] ?? '', 16));
    return values.reduce((sum, value) => sum + (Number.isNaN(value) ? 0 : value), 0);
  };
  return {
    entries,
    entriesMax,
    insertFailed: total('insert_failed'),
    drop: total('drop'),
    earlyDrop: total('early_drop'),
  };
}

function wholeNumberIn(text: string | undefined): number | null {
  return text !== undefined && /^\d+\s*$/.test(text) ? Number(text) : null;
}
