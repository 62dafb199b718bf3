/**
 * What everything that asks one upstream address has in common: where it is, how long its connections may live, and
 * the world outside.
 */
import type { ForwardConfig, UpstreamEndpoint } from '../config/config.js';
import type { Counters } from '../counters.js';
import type { Clock } from '../os/clock.js';
import type { Network, TlsSettings } from '../os/network.js';
import type { Random } from '../os/random.js';
import type { Turn } from './flush.js';
import type { Outages } from './outages.js';
import type { Rtt } from './rtt.js';
import type { UpstreamStats } from './stats.js';

export interface UpstreamDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly counters: Counters;
  readonly turn: Turn;
  readonly outages: Outages;
  readonly own: OwnWays;
}

/** What is known of the way that a question takes through our own listeners. */
export interface OwnWays {
  /** Whether what is sent there comes to ourselves. */
  isOwn(endpoint: UpstreamEndpoint): boolean;
  /** Zones whose names come back to the block of the forward when they are asked there; `isAll`: there are no others. */
  returning(
    forward: ForwardConfig,
    endpoint: UpstreamEndpoint,
  ): { readonly zones: readonly string[]; readonly isAll: boolean };
  /** The same of one question. */
  comesBack(forward: ForwardConfig, endpoint: UpstreamEndpoint, question: Uint8Array): boolean;
  /** Some forward has other upstreams than before. */
  changed(): void;
}

/** Of one `forward`, for its upstreams. */
export interface PlaceSettings {
  readonly sourceAddress: string | null;
  /** Connections and sockets that nobody uses are closed after this long. */
  readonly expireMs: number;
  /** 0: connections may grow old. */
  readonly maxAgeMs: number;
  /** 0: no limit of its own. */
  readonly idleConnectionsMax: number;
  /** No question waits longer for its answer. */
  readonly deadlineMs: number;
  /** The largest UDP answer that is asked for. */
  readonly udpBytes: number;
}

export interface Place {
  readonly endpoint: UpstreamEndpoint;
  /** `10.96.0.10:53`, `[fd00::1]:53`. */
  readonly to: string;
  readonly stats: UpstreamStats;
  readonly pace: Rtt;
  /** Null: TCP and UDP as they are. */
  readonly tls: TlsSettings | null;
  readonly settings: PlaceSettings;
  readonly deps: UpstreamDeps;
}
