/** What the doctor's checks have in common: what they look with, and what they find. */
import type { Clock } from '../os/clock.js';
import type { RunCommand } from '../os/commands.js';
import type { ReadPieces } from '../os/files.js';
import type { Network } from '../os/network.js';
import type { Random } from '../os/random.js';
import type { ServerFacts } from './facts.js';

/** `skipped`: it cannot be looked at here, and `seen` says why. */
export type Verdict = 'ok' | 'info' | 'warn' | 'fail' | 'skipped';

export interface Finding {
  /** For programs, alerts and OPERATIONS.md: `endpoint-dead`. Does not change between versions. */
  readonly code: string;
  readonly verdict: Verdict;
  /** One sentence with the numbers and addresses. */
  readonly seen: string;
  /** What it means for the node's pods; empty for `ok` and `skipped`. */
  readonly meaning: string;
  /** The one command that helps; null where none does. */
  readonly command: string | null;
  /** The code of the finding that this one follows from; the run sets it, and the verdict is then `info`. */
  readonly explainedBy?: string;
}

/** Bodies are cut at `bytesMax`; null: no answer within the time. */
export type FetchText = (
  url: string,
  bounds: { readonly timeoutMs: number; readonly bytesMax: number },
) => Promise<{ readonly status: number; readonly body: string } | null>;

/** Everything outside, injected. */
export interface DoctorOutsides {
  readonly clock: Clock;
  readonly random: Random;
  readonly network: Network;
  readonly run: RunCommand;
  /** Undefined: the file cannot be read. */
  readonly readFile: (path: string) => string | undefined;
  /** For tables of the kernel that may be long: they are read by another thread. */
  readonly readPieces: ReadPieces;
  readonly fetchText: FetchText;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** `net:[4026531840]`: the namespace of what looks; undefined: unknown. */
  readonly networkNamespace?: string | undefined;
  /** What the serving process tells; null: it cannot be reached. */
  readonly facts: ServerFacts | null;
  /** How many questions this run may still send. */
  readonly questionsLeft?: () => number;
  /** A name outside the cluster that may be asked for; without one no name of others leaves the node. */
  readonly outsideName?: string | null;
}

export interface Check {
  /** As the progress line shows it: `endpoints of the cluster DNS`. */
  readonly about: string;
  /** Sends no question beyond the node and starts few programs: the serving process does it once a minute. */
  readonly isCheap: boolean;
  /** At least one finding for each code of the check; never rejects for what it finds. */
  run(outsides: DoctorOutsides): Promise<readonly Finding[]>;
}
