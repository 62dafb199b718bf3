/**
 * What the instances on a node share, as those see it who decide which of them serves: sockets on the same ports, and
 * what is cached. Only the seams; os/reuseport-groups.ts and the composition root fill them.
 */
import type { Layout } from './messages.js';

/** Our sockets among those of others, and who of us gets the packets. */
export interface Seats {
  /** From now on others may have the ports that we open. */
  share(): void;
  learn(layout: Layout): void;
  layout(): Layout;
  readonly areShared: boolean;
  steer(how: 'away' | 'all' | 'one'): void;
  look(): void;
  /** Our sockets for datagrams, each with its group, for others to hold copies of. */
  offer(): Offered;
  /** Holds copies of another one's sockets, so that what is in them outlives it; drops those held so far. */
  hold(offered: Offered): void;
  /** Whether copies are held. */
  readonly isHolding: boolean;
  /** Answers what is in the copies, and closes them. */
  inherit(): void;
}

export interface Offered {
  readonly groups: readonly string[];
  readonly descriptors: readonly number[];
}

/** What is cached, as chunks. */
export interface Warmth {
  everything(): Iterator<Uint8Array>;
  /** What has been stored, or has ended, since this was asked for last, for any number of readers. */
  news(): () => Iterator<Uint8Array>;
  /** Takes what is good; false when the chunk is broken. Moments in it are `laterMs` before ours. */
  take(chunk: Uint8Array, laterMs?: number): boolean;
}
