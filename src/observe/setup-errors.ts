/**
 * What went wrong while the node and its configuration were set up, by kind: the numbers behind
 * coredns_nodecache_setup_errors_total. They are counted before there is anything to serve by, and by parts that know
 * nothing of packets, so they live apart from `Counters`.
 */
import { type SetupError, setupErrors } from '../host/tools.js';

export interface SetupErrors {
  count(kind: SetupError): void;
  /** The numbers so far. */
  totals(): Readonly<Record<SetupError, number>>;
}

/** All kinds at 0. */
export function newSetupErrors(): SetupErrors {
  const totals = Object.fromEntries(setupErrors.map((kind) => [kind, 0])) as Record<SetupError, number>;
  return {
    count(kind) {
      totals[kind]++;
    },
    totals: () => ({ ...totals }),
  };
}
