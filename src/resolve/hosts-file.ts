/**
 * A block's hosts file as it is now: read when the configuration is put to work, looked at every so often, and read
 * again when it has changed. A file that cannot be read leaves what it said last in force.
 */
import type { HostsConfig } from '../config/config.js';
import { type Look, watchFiles } from '../config/watch.js';
import { hostsFileCharactersMax } from '../limits.js';
import type { Clock, Timer } from '../outside/clock.js';
import type { Log } from '../outside/log.js';
import { type HostsTable, knowAlike, parseHosts, parseHostsInTurns } from './hosts-table.js';

export interface HostsFileWorld {
  readonly clock: Clock;
  readonly log: Log;
  readonly look: Look;
  /** The text of a file, undefined when it cannot be read. */
  readonly readFile: (path: string) => string | undefined;
}

export interface HostsFile {
  readonly file: string;
  /** What file and Corefile say together. */
  readonly table: HostsTable;
  /** When the file was last read, in wall-clock milliseconds since 1970; 0 when it never was. */
  readonly readAtMs: number;
  stop(): void;
}

/** Reads the file and watches it; `changed` is told of which names there is other news now. */
export function openHostsFile(
  config: HostsConfig,
  world: HostsFileWorld,
  changed: (isAbout: (name: string) => boolean) => void,
): HostsFile {
  const { clock, log, look } = world;
  const { file, inline, reloadMs } = config;
  let readAtMs = 0;
  let table = parseHosts(inline, config);

  /** The next turn of reading it again. */
  let turn: Timer | null = null;

  /** What file and Corefile say now; undefined, after a word, when the file cannot be used. */
  function wholeText(): string | undefined {
    const text = textOf(config, world);
    if (text !== undefined) readAtMs = clock.wallMs();
    return text === undefined ? undefined : `${text}\n${inline}`;
  }

  function use(next: HostsTable): void {
    table = next;
    if (table.leftOut > 0) log.warn(`hosts: ${file} has too many entries; ${table.leftOut} of them are left out`);
  }

  /** Clients are answered by the table before in between. A text that has changed meanwhile begins anew. */
  function readAgain(): void {
    turn?.stop();
    const text = wholeText();
    if (text !== undefined) goOn(parseHostsInTurns(text, config));
  }

  function goOn(turns: Generator<void, HostsTable>): void {
    const { done, value } = turns.next();
    if (done !== true) {
      turn = clock.after(0, () => goOn(turns));
      return;
    }
    const before = table;
    use(value);
    log.info(`hosts: ${file} has changed`, { entries: table.entries });
    changed((name) => !knowAlike(before, value, name));
  }

  const first = wholeText();
  if (first !== undefined) use(parseHosts(first, config));
  const watch = reloadMs === 0 ? null : watchFiles(clock, () => [file], reloadMs, readAgain, look);
  return {
    file,
    get table() {
      return table;
    },
    get readAtMs() {
      return readAtMs;
    },
    stop() {
      turn?.stop();
      watch?.stop();
    },
  };
}

/** The file's text, or undefined after a word about why there is none. */
function textOf({ file, at }: HostsConfig, { log, readFile }: HostsFileWorld): string | undefined {
  const text = readFile(file);
  const where = `hosts at ${at.file}:${at.line}: ${file}`;
  if (text === undefined) log.warn(`${where} cannot be read; what is known without it is used`);
  else if (text.length > hostsFileCharactersMax) log.error(`${where} is too large, so it is not used`);
  else return text;
  return undefined;
}
