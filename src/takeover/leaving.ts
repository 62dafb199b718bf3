/**
 * The first half of ending: nothing new comes to our sockets any more, because somebody else has it, or because those
 * who ask had the time of a lame duck to notice that we go.
 */
import { settleMs } from '../limits.js';
import type { Clock } from '../os/clock.js';
import type { Succession } from './succession.js';

/** Resolves when the sockets may be emptied and closed. A successor that comes while we are lame is waited for no more. */
export async function stopCalling(
  clock: Clock,
  succession: Pick<Succession, 'leave' | 'whenSucceeded' | 'role'> | null,
  lameduckMs: number,
): Promise<void> {
  let left = (await succession?.leave()) ?? 'alone';
  if (left === 'alone') {
    await new Promise<void>((resolve) => {
      clock.after(lameduckMs, resolve);
      succession?.whenSucceeded(resolve);
    });
    if (succession?.role === 'standing by') left = await succession.leave();
  }
  if (left === 'succeeded') await new Promise<void>((resolve) => clock.after(settleMs, resolve));
}
