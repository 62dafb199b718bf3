/**
 * The kinds of work that are measured, as data: what is asked, how hard, and what a right answer is. A workload is
 * for every server; a server that has another way of doing it (zerohop's AAAA policy) is told so by `aaaa`.
 */
import type { Load } from './dnsperf.js';
import type { QuestionFiles } from './questions.js';

export interface Workload {
  /** As `--only` has it. */
  readonly name: string;
  /** As the table has it. */
  readonly title: string;
  readonly questions: keyof QuestionFiles;
  readonly load: Load;
  /** The rcode of every right answer; any other is counted as wrong. */
  readonly rcode: 'NOERROR' | 'NXDOMAIN';
  /** Who says no to AAAA: the upstream, whose denial is cached, or zerohop itself; other servers always ask. */
  readonly aaaa: 'upstream' | 'policy';
}

/**
 * As fast as answers come, with less in flight than fits in a socket's receive buffer at the kernel's default size
 * (212,992 bytes; 200 small packets can be too many for it), so that a loss is the server's doing.
 */
const saturating: Load = { transport: 'udp', clients: 8, outstanding: 128, queriesPerSecond: null };

export const workloads: readonly Workload[] = [
  {
    name: 'cached',
    title: 'cached answer over UDP',
    questions: 'positive',
    load: saturating,
    rcode: 'NOERROR',
    aaaa: 'upstream',
  },
  {
    name: 'nxdomain',
    title: 'cached NXDOMAIN (search path) over UDP',
    questions: 'negative',
    load: saturating,
    rcode: 'NXDOMAIN',
    aaaa: 'upstream',
  },
  {
    name: 'aaaa',
    title: 'AAAA by policy; others: cached NODATA',
    questions: 'aaaa',
    load: saturating,
    rcode: 'NOERROR',
    aaaa: 'policy',
  },
  {
    name: 'uncached',
    title: 'uncached answer, TCP upstream',
    questions: 'distinct',
    load: saturating,
    rcode: 'NOERROR',
    aaaa: 'upstream',
  },
];
