/**
 * What can go wrong on the in-memory network, as numbers: shares are 0 to 1 and are drawn from the seeded random
 * of the network.
 */

export interface Faults {
  /** One way. */
  latencyMs: number;
  /** Up to this much more per packet; datagrams overtake each other, streams keep their order. */
  jitterMs: number;
  dropShare: number;
  duplicateShare: number;
  /** Share of datagrams that come `reorderMs` later than they should. */
  reorderShare: number;
  reorderMs: number;
  /**
   * How the bytes of a stream are cut into `data` events: as they were written, at most so many bytes at a time, or
   * joined and cut at random places (a read may then hold the end of one message and the start of the next).
   */
  chunks: 'asWritten' | 'random' | number;
  /** Share of writes to a stream that reset its connection instead. */
  resetShare: number;
  /** Bytes of a stream on the way or unread at the peer, beyond which they stay unsent at the writer. */
  windowBytes: number;
}

/** A network on which nothing goes wrong and nothing takes time. */
export const noFaults: Readonly<Faults> = {
  latencyMs: 0,
  jitterMs: 0,
  dropShare: 0,
  duplicateShare: 0,
  reorderShare: 0,
  reorderMs: 0,
  chunks: 'asWritten',
  resetShare: 0,
  windowBytes: 64 * 1024,
};

/** An error as the system gives it. */
export function systemError(code: string, call: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${call} ${code}`), { code, syscall: call });
}
