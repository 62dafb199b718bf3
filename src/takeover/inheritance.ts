/**
 * What is had of the instance that serves: at a start its cache; standing by, copies of its sockets for datagrams,
 * should it die. The kernel takes some 40 ms to take a process apart and goes on queueing packets in its sockets; with a copy open
 * they are not thrown away with the process.
 */
import { handoverSilenceMs, handoverTransferMs, introductionTimeoutMs } from '../limits.js';
import type { Clock } from '../os/clock.js';
import type { Greeting, LocalSockets } from '../os/network.js';
import type { Hearing } from './hearing.js';
import type { Link } from './link.js';
import type { MeetingPlaceDeps } from './meeting-place.js';
import { FrameReader, messageFrame } from './messages.js';
import type { Seats } from './seats.js';

export interface InheritanceDeps {
  readonly clock: Clock;
  readonly sockets: LocalSockets;
  readonly path: string;
  readonly seats: Pick<Seats, 'hold' | 'offer'>;
}

/** What whoever serves greets others with. */
export function greetingOf(seats: Pick<Seats, 'offer'>): Greeting {
  const { groups, descriptors } = seats.offer();
  return { bytes: messageFrame({ type: 'sockets', groups }), descriptors };
}

/** Asks whoever serves for its sockets, and holds them in the place of those held so far. */
export function fetchSockets({ clock, sockets, path, seats }: InheritanceDeps): void {
  const giveUp = sockets.fetch(path, ({ bytes, descriptors }) => {
    late.stop();
    const [frame] = new FrameReader().read(bytes) ?? [];
    const groups = frame?.kind === 'message' && frame.message.type === 'sockets' ? frame.message.groups : [];
    seats.hold({ groups, descriptors });
  });
  const late = clock.after(introductionTimeoutMs, giveUp);
}

/** Has the predecessor give its cache, for as long as that is worth waiting for. */
export async function fetchCache(
  before: Link,
  hearing: Hearing,
  { clock, log, self }: Pick<MeetingPlaceDeps, 'clock' | 'log' | 'self'>,
): Promise<void> {
  const { entriesFormat, clockMs } = before.peer!;
  if (entriesFormat !== self.entriesFormat || Math.abs(clock.nowMs() - clockMs) > handoverTransferMs) {
    return log.info('cache handover skipped: incompatible version or clock');
  }
  before.say({ type: 'give' });
  const what = await hearing.first(['given', 'closed'], handoverSilenceMs, handoverTransferMs);
  if (what !== 'given') log.warn('cache handover incomplete: the predecessor was too slow or closed the connection');
}

/** Holds nothing any more. */
export function dropSockets(seats: Pick<Seats, 'hold'>): void {
  seats.hold({ groups: [], descriptors: [] });
}
