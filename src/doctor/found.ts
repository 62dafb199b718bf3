/** What the checks of the node share: findings without a remedy, lists in sentences, reading with bounds, and pauses. */
import { doctorCommandMs, doctorNamesShown, doctorOutputBytesMax } from '../limits.js';
import type { Clock } from '../os/clock.js';
import type { CommandEnd } from '../os/commands.js';
import type { DoctorOutsides, Finding } from './check.js';

export function fineFinding(code: string, seen: string): Finding {
  return { code, verdict: 'ok', seen, meaning: '', command: null };
}

export function skippedFinding(code: string, seen: string): Finding {
  return { code, verdict: 'skipped', seen, meaning: '', command: null };
}

/** `10.0.0.1, 10.0.0.2 and 7 more`. */
export function someOf(items: readonly string[], shown = doctorNamesShown): string {
  const more = items.length - shown;
  return more > 0 ? `${items.slice(0, shown).join(', ')} and ${more} more` : items.join(', ');
}

/** `1 packet`, `12,000 packets`. */
export function howMany(count: number, one: string, several = `${one}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? one : several}`;
}

/** `48 %`. */
export function percent(part: number, whole: number): string {
  return `${whole === 0 ? 0 : Math.round((100 * part) / whole)} %`;
}

/** Standard output of a program that ended well; otherwise why there is none, as a clause. */
type ProgramText = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly why: string };

export async function runProgramFor(
  { run }: Pick<DoctorOutsides, 'run'>,
  program: string,
  parameters: readonly string[],
  keep?: (line: string) => boolean,
): Promise<ProgramText> {
  const bounds = { timeoutMs: doctorCommandMs, outputBytesMax: doctorOutputBytesMax };
  const end: CommandEnd = await run({ program, parameters, ...bounds, ...(keep === undefined ? {} : { keep }) });
  if (!end.ran) return { ok: false, why: end.text };
  if (end.status === 0) return { ok: true, text: end.stdout };
  const [said = ''] = end.stderr.split('\n');
  return { ok: false, why: `${program} exited with ${end.status}: ${said.slice(0, 120)}` };
}

/** The first bytes of a file as text; undefined when it cannot be read. */
export async function readTextOf(
  { readPieces }: Pick<DoctorOutsides, 'readPieces'>,
  path: string,
  bytesMax: number,
): Promise<string | undefined> {
  const pieces = await readPieces(path, bytesMax);
  return pieces === undefined ? undefined : Buffer.concat(pieces).toString('latin1');
}

export function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve));
}

/** `look`, once for each set of outsides: several checks of one run look at the same. */
export function oncePerRun<Seen>(
  look: (outsides: DoctorOutsides) => Promise<Seen>,
): (outsides: DoctorOutsides) => Promise<Seen> {
  const seen = new WeakMap<DoctorOutsides, Promise<Seen>>();
  return (outsides) => {
    const known = seen.get(outsides) ?? look(outsides);
    seen.set(outsides, known);
    return known;
  };
}

/** Null where the doctor looks at the network that the process serves in; else why it cannot see that. */
export function otherNetwork({ facts, networkNamespace }: DoctorOutsides): string | null {
  if (facts?.networkNamespace === undefined || networkNamespace === undefined) return null;
  if (facts.networkNamespace === networkNamespace) return null;
  return 'zerohop serves in another network namespace; run the doctor in its pod';
}

/** Addresses that need no link of ours and that no pod asks: loopback, the unspecified ones, those with a scope. */
export function isOfEveryHost(address: string): boolean {
  return /^(?:127\.|0\.0\.0\.0$|::1?$|.*%)/u.test(address);
}
