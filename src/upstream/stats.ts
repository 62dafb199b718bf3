/**
 * What is counted about one upstream address, in plain numbers; `observe/metrics.ts` gives them CoreDNS's proxy names.
 */
import { histogramPlaces } from '../counters.js';

export interface UpstreamStats {
  /** As the `to` label has it: `10.96.0.10:53`, `[fd00::1]:53`. */
  readonly to: string;
  /** A duration histogram (layout of counters.ts) per rcode text of the answers. */
  readonly durations: Map<string, Float64Array>;
  /** Requests that found a connection or socket already open, and those that opened one; [UDP, TCP]. */
  readonly reused: [number, number];
  readonly opened: [number, number];
  healthcheckFailures: number;
  /** As of the last reading: connections and sockets that are open, and of these the suspects. */
  open: number;
  suspects: number;
  /** Our questions come back from it, or it is ourselves: it is not asked. */
  looping: boolean;
  /** False from the failure that made it `down` until a health check succeeds. */
  healthy: boolean;
}

export function newUpstreamStats(to: string): UpstreamStats {
  return {
    to,
    durations: new Map(),
    reused: [0, 0],
    opened: [0, 0],
    healthcheckFailures: 0,
    open: 0,
    suspects: 0,
    looping: false,
    healthy: true,
  };
}

/** The histogram for this rcode, made at first use; rcodes are a closed set, so the map is bounded. */
export function durationsOf(stats: UpstreamStats, rcode: string): Float64Array {
  let histogram = stats.durations.get(rcode);
  if (histogram === undefined) {
    histogram = new Float64Array(histogramPlaces.duration);
    stats.durations.set(rcode, histogram);
  }
  return histogram;
}
