/**
 * A block's hosts file as it is now: read before the configuration is put to work, looked at every so often, and read
 * again when it has changed. A file that cannot be read leaves what it said last in force. Threads of Node.js read it,
 * and what they have read is understood in slices, as the largest file takes seconds.
 */
import { createHash } from 'node:crypto';
import type { Config, HostsConfig } from '../config/config.js';
import { type Look, watchFiles } from '../config/watch.js';
import { hostsFileBytesMax } from '../limits.js';
import type { Clock } from '../os/clock.js';
import type { ReadPieces } from '../os/files.js';
import type { Log } from '../os/log.js';
import { inTurns } from '../scheduling/slices.js';
import { type HostsTable, knowAlike, parseHosts, parseHostsInSlices } from './hosts-table.js';

export interface HostsFileDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly look: Pick<Look, 'stat'>;
  readonly readPieces: ReadPieces;
}

/** What was read. */
export interface HostsContent {
  /** What file and Corefile say together. */
  readonly table: HostsTable;
  /** When the file was last read, in wall-clock milliseconds since 1970; 0 when it never was. */
  readonly readAtMs: number;
  /** Of the file's bytes; empty when it never was read. */
  readonly digest: string;
  /** What the file looked like when it began to be read. */
  readonly stat: string | undefined;
}

/** What each `hosts` of a configuration is to begin with. */
export type HostsContents = ReadonlyMap<HostsConfig, HostsContent>;

export interface HostsFile {
  readonly file: string;
  readonly content: HostsContent;
  stop(): void;
}

/** Reads the files of all blocks; given up when `isOver` says so. */
export async function readAllHosts(
  { blocks }: Pick<Config, 'blocks'>,
  deps: HostsFileDeps,
  isOver: () => boolean = () => false,
): Promise<HostsContents> {
  const contents = new Map<HostsConfig, HostsContent>();
  for (const { hosts } of blocks) {
    if (hosts === null) continue;
    const read = await readHosts(hosts, deps, { digest: '', isOver });
    contents.set(hosts, read ?? withoutFile(hosts, deps.look.stat(hosts.file)));
  }
  return contents;
}

/** Serves what was read, or nothing from the file yet, and watches it; `changed` is told of which names there is other news now. */
export function openHostsFile(
  config: HostsConfig,
  deps: HostsFileDeps,
  first: HostsContent | undefined,
  changed: (isAbout: (name: string) => boolean) => void,
): HostsFile {
  const { clock, log, look } = deps;
  const { file, reloadMs } = config;
  let content = first ?? withoutFile(config, undefined);
  let isStopped = false;
  let isReading = false;
  let hasChanged = false;

  /** Clients are answered by the table before in between. */
  async function readAgain(): Promise<void> {
    hasChanged = true;
    if (isReading) return;
    isReading = true;
    while (hasChanged && !isStopped) {
      hasChanged = false;
      const read = await readHosts(config, deps, { digest: content.digest, isOver: () => isStopped });
      if (read !== undefined && !isStopped) use(read);
    }
    isReading = false;
  }

  function use(next: HostsContent): void {
    const before = content.table;
    content = next;
    log.info(`hosts: ${file} has changed`, { entries: next.table.entries });
    changed((name) => !knowAlike(before, next.table, name));
  }

  // What it looks like says enough: the bytes are compared when it is read.
  const watched: Look = { stat: (path) => look.stat(path), digest: (path) => look.stat(path) };
  const watch =
    reloadMs === 0
      ? null
      : watchFiles(
          clock,
          () => [file],
          reloadMs,
          () => void readAgain(),
          watched,
        );
  // Between reading and now it may have changed, which the watch does not know.
  if (look.stat(file) !== content.stat) void readAgain();
  return {
    file,
    get content() {
      return content;
    },
    stop() {
      isStopped = true;
      watch?.stop();
    },
  };
}

/** What the Corefile says alone. */
function withoutFile(config: HostsConfig, stat: string | undefined): HostsContent {
  return { table: parseHosts(config.inline, config), readAtMs: 0, digest: '', stat };
}

interface Reading {
  /** Of what is known already. */
  readonly digest: string;
  /** Nobody wants to know any more. */
  isOver(): boolean;
}

/** What file and Corefile say now; undefined when that is known, or the file cannot be used, after a word about why. */
async function readHosts(
  config: HostsConfig,
  deps: HostsFileDeps,
  { digest: known, isOver }: Reading,
): Promise<HostsContent | undefined> {
  const { clock, log, look } = deps;
  const stat = look.stat(config.file);
  const pieces = await piecesOf(config, deps);
  if (pieces === undefined || isOver()) return undefined;
  const readAtMs = clock.wallMs();
  const digest = await inTurns(clock, digestInSlices(pieces), isOver);
  if (digest === undefined || digest === known) return undefined;
  const table = await inTurns(clock, parseHostsInSlices(textOf(pieces, config.inline), config), isOver);
  if (table === undefined) return undefined;
  const { leftOut } = table;
  if (leftOut > 0) log.warn(`hosts: ${config.file} has too many entries; ignoring ${leftOut} of them`);
  return { table, readAtMs, digest, stat };
}

async function piecesOf(
  { file, at }: HostsConfig,
  { log, readPieces }: HostsFileDeps,
): Promise<readonly Uint8Array[] | undefined> {
  const pieces = await readPieces(file, hostsFileBytesMax + 1);
  const where = `hosts at ${at.file}:${at.line}: ${file}`;
  if (pieces === undefined) log.warn(`${where} is not readable; using the other entries`);
  else if (pieces.reduce((sum, { length }) => sum + length, 0) > hostsFileBytesMax) {
    log.error(`${where} is too large; ignoring it`);
  } else return pieces;
  return undefined;
}

function* digestInSlices(pieces: readonly Uint8Array[]): Generator<void, string> {
  const hash = createHash('sha256');
  for (const piece of pieces) {
    hash.update(piece);
    yield;
  }
  return hash.digest('hex');
}

/** What the file says, and behind it the Corefile, in pieces that part no word. */
function* textOf(pieces: readonly Uint8Array[], inline: string): Generator<string> {
  let rest = Buffer.alloc(0);
  for (const piece of pieces) {
    const bytes = Buffer.concat([rest, piece]);
    const end = endOfWords(bytes);
    yield bytes.toString('utf8', 0, end);
    rest = bytes.subarray(end);
  }
  yield `${rest.toString('utf8')}\n${inline}`;
}

/** Longer than any word that means something. */
const wordBytesMax = 4_096;

/** Where the last word that is there as a whole ends; what is too long for a word is let go with those before. */
function endOfWords(bytes: Buffer): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] > 0x20) end--;
  return bytes.length - end > wordBytesMax ? bytes.length : end;
}
