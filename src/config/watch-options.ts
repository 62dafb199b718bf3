/** The options of the commands that watch the running zerohop, `tail` and `top`, checked before anything is asked. */
import { readNameGlob } from '../dns/name-glob.js';
import { rcodeName, rcodeNumber } from '../dns/names.js';
import { watchedMsMax } from '../limits.js';
import { readNetwork } from './addresses.js';
import { parseDuration } from './durations.js';
import { type ReadFlags, UsageError } from './flag-reader.js';

/** Which queries `zerohop tail` shows: as text for the control socket, all of it must hold. */
interface TailFilter {
  /** With `*` and `?`. */
  readonly name: string | null;
  /** An address, or a network as a CIDR. */
  readonly client: string | null;
  /** `NXDOMAIN`. */
  readonly rcode: string | null;
  /** Milliseconds that the answer took at least; 0: any. */
  readonly slowMs: number;
}

export interface TailWishes {
  readonly filter: TailFilter;
  /** Null: until Ctrl-C. */
  readonly forMs: number | null;
}

export function tailWishes(flags: ReadFlags): TailWishes {
  const [name, client, rcode] = (['name', 'client', 'rcode'] as const).map((flag) => flags.text(flag));
  if (name !== '' && readNameGlob(name) === undefined) {
    throw new UsageError('-name is longer than any domain name; write a shorter pattern.');
  }
  if (client !== '' && readNetwork(client) === undefined) {
    throw new UsageError(
      `-client "${client}" is no address or network; write one such as 10.244.0.7 or 10.244.0.0/24.`,
    );
  }
  const filter = {
    name: name || null,
    client: client || null,
    rcode: readWatchedRcode(rcode),
    slowMs: readSlow(flags),
  };
  return { filter, forMs: readFor(flags.text('for')) };
}

function readWatchedRcode(text: string): string | null {
  if (text === '') return null;
  const rcode = rcodeNumber(text);
  if (rcode !== undefined && rcode <= 15) return rcodeName(rcode);
  throw new UsageError(`-rcode "${text}" is no rcode of an answer's header; write one such as NXDOMAIN or SERVFAIL.`);
}

function readSlow(flags: ReadFlags): number {
  const text = flags.text('slow');
  if (/^\d{1,6}(?:\.\d{1,3})?$/u.test(text)) return Number(text);
  throw new UsageError(`-slow "${text}" is no number of milliseconds; write one such as 50.`);
}

function readFor(text: string): number | null {
  if (text === '') return null;
  let ms = 0;
  try {
    ms = parseDuration(text);
  } catch {
    ms = 0;
  }
  if (ms > 0 && ms <= watchedMsMax) return ms;
  throw new UsageError(`-for "${text}" is no duration up to a day; write one such as 30s or 5m.`);
}
