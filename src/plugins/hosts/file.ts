/**
 * A block's hosts file: read before the configuration is used, watched, and read again when it changes. A file that cannot be
 * read leaves the previous content in force. The thread pool reads it, and it is parsed in slices: the largest takes seconds.
 */
import { createHash } from 'node:crypto';
import type { Position } from '../../config/config.js';
import { type Look, watchFiles } from '../../config/watch.js';
import { hostsFileBytesMax } from '../../limits.js';
import { inTurns } from '../../scheduling/slices.js';
import type { PluginDeps } from '../plugin.js';
import { type HostsTable, knowAlike, parseHosts, parseHostsInSlices } from './table.js';

export interface HostsContent {
  /** The entries of file and Corefile. */
  readonly table: HostsTable;
  /** When the file was last read, in wall-clock milliseconds since 1970; 0: never. */
  readonly readAtMs: number;
  /** Of the file's bytes; empty if it was never read. */
  readonly digest: string;
  /** The file's stat when reading began. */
  readonly stat: string | undefined;
}

export interface HostsConfig {
  readonly at: Position;
  readonly file: string;
  /** Only names in these zones are taken from the file. */
  readonly zones: readonly string[];
  /** Entries of the Corefile, as lines of a hosts file; they follow the file's. */
  readonly inline: string;
  readonly ttlSeconds: number;
  /** Addresses get PTR records. */
  readonly reverse: boolean;
  /** How often the file is checked; 0: never. */
  readonly reloadMs: number;
  /** Null: no fallthrough; empty: every zone. */
  readonly fallthrough: readonly string[] | null;
  /** Types that a hosts file cannot hold fall through, too, for known names. */
  readonly fallthroughUnsupported: boolean;
}

export interface HostsFile {
  readonly file: string;
  readonly content: HostsContent;
  stop(): void;
}

/** Reads the file; gives up when `isOver`. */
export async function readHostsFile(
  config: HostsConfig,
  deps: Omit<PluginDeps, 'counters'>,
  isOver: () => boolean = () => false,
): Promise<HostsContent> {
  return (await readContent(config, deps, { digest: '', isOver })) ?? withoutFile(config, deps.look.stat(config.file));
}

/** Serves `first`, or the Corefile's entries alone, and watches the file; `changed` gets a predicate of the changed names. */
export function openHostsFile(
  config: HostsConfig,
  deps: Omit<PluginDeps, 'counters'>,
  first: HostsContent | undefined,
  changed: (isAbout: (name: string) => boolean) => void,
): HostsFile {
  const { clock, log, look } = deps;
  const { file, reloadMs } = config;
  let content = first ?? withoutFile(config, undefined);
  let isStopped = false;
  let isReading = false;
  let hasChanged = false;

  /** Until this ends, clients get answers from the previous table. */
  async function readAgain(): Promise<void> {
    hasChanged = true;
    if (isReading) return;
    isReading = true;
    while (hasChanged && !isStopped) {
      hasChanged = false;
      const read = await readContent(config, deps, { digest: content.digest, isOver: () => isStopped });
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

  // The stat suffices: the bytes are compared when the file is read.
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
  // The file may have changed between reading and watching.
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

/** The Corefile's entries alone. */
function withoutFile(config: HostsConfig, stat: string | undefined): HostsContent {
  return { table: parseHosts(config.inline, config), readAtMs: 0, digest: '', stat };
}

interface Reading {
  /** Of the content that is known already. */
  readonly digest: string;
  /** Whether the result is no longer needed. */
  isOver(): boolean;
}

/** The content of file and Corefile; undefined if it is unchanged or the file is unusable, which is logged. */
async function readContent(
  config: HostsConfig,
  deps: Omit<PluginDeps, 'counters'>,
  { digest: known, isOver }: Reading,
): Promise<HostsContent | undefined> {
  const { clock, log, look } = deps;
  const stat = look.stat(config.file);
  const pieces = await piecesOf(config, deps);
  if (pieces === undefined || isOver()) return undefined;
  const readAtMs = clock.wallMs();
  const digest = await inTurns(clock, digestInSlices(pieces), isOver);
  if (digest === undefined || digest === known) return undefined;
  const table = await inTurns(clock, parseHostsInSlices(hostsText(pieces, config.inline), config), isOver);
  if (table === undefined) return undefined;
  const { leftOut } = table;
  if (leftOut > 0) log.warn(`hosts: ${config.file} has too many entries; ignoring ${leftOut} of them`);
  return { table, readAtMs, digest, stat };
}

async function piecesOf(
  { file, at }: HostsConfig,
  { log, readPieces }: Omit<PluginDeps, 'counters'>,
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

/** File and Corefile in pieces that end between words. */
function* hostsText(pieces: readonly Uint8Array[], inline: string): Generator<string> {
  let rest = Buffer.alloc(0);
  for (const piece of pieces) {
    const bytes = Buffer.concat([rest, piece]);
    const end = endOfWords(bytes);
    yield bytes.toString('utf8', 0, end);
    rest = bytes.subarray(end);
  }
  yield `${rest.toString('utf8')}\n${inline}`;
}

/** Longer than any name or address. */
const wordBytesMax = 4_096;

/** Where the last complete word ends; a word that is too long counts as complete. */
function endOfWords(bytes: Buffer): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] > 0x20) end--;
  return bytes.length - end > wordBytesMax ? bytes.length : end;
}
