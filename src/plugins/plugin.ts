/**
 * A plugin: one directive as one record. Its folder holds everything that knows the directive by name: how a Corefile
 * writes it, what it does to queries, its metrics and what `zerohop check` advises. registry.ts lists all of them.
 */
import type { PluginReader } from '../config/plugins.js';
import type { Look } from '../config/watch.js';
import type { Answerer, Counters } from '../counters.js';
import { isInZone } from '../dns/names.js';
import { encodeAnswerTo, parseRecord } from '../dns/records.js';
import { rcodeNoError } from '../dns/wire.js';
import type { Family } from '../observe/exposition.js';
import type { ZoneTotals } from '../observe/metrics-source.js';
import type { Clock } from '../os/clock.js';
import type { ReadPieces } from '../os/files.js';
import type { Log } from '../os/log.js';
import type { Made, MakeQuery, PluginAtWork } from '../resolve/route.js';

export interface Plugin<Settings = unknown, AtWork extends PluginAtWork = PluginAtWork> extends PluginReader<Settings> {
  /** Reads what `start` needs from files, before the configuration is in use; gives up when `isOver`. */
  prepare?(settings: Settings, deps: PluginDeps, isOver: () => boolean): Promise<unknown>;
  /** Puts the directive to work in one server block; null: there is nothing to do at run time. */
  start?(settings: Settings, start: PluginStart): AtWork | null;
  readonly metrics?: readonly Family<PluginScrape<AtWork>>[];
}

export interface PluginDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly counters: Counters;
  readonly look: Pick<Look, 'stat'>;
  readonly readPieces: ReadPieces;
}

interface PluginStart {
  readonly deps: PluginDeps;
  /** From `prepare`, or from `prepared` of the same settings at work. */
  readonly prepared: unknown;
  /** Whether a forward of the block is responsible for the question, in wire form. */
  isForwarded(question: Uint8Array): boolean;
  /** Drops what is cached of these names. */
  forget(isAbout: (name: string) => boolean): void;
}

/** What a scrape reads of one plugin. */
export interface PluginScrape<AtWork extends PluginAtWork> {
  /** The plugin at work, for each server block that has it, with the servers on which the block listens. */
  readonly atWork: readonly { readonly atWork: AtWork; readonly servers: readonly string[] }[];
  /** The `server` label of a zone's place in the counters. */
  serverOf(ordinal: number): string;
  /** By server and zone, of blocks with `prometheus`. */
  readonly served: readonly ZoneTotals[];
}

/** Whether a directive with this `fallthrough` leaves the name to the next one: null is never, no zones are all names. */
export function fallsThrough(zones: readonly string[] | null, name: string): boolean {
  return zones !== null && (zones.length === 0 || zones.some((zone) => isInZone(name, zone)));
}

/** A NOERROR answer with these records, in presentation form. Throws an Error for what is no record. */
export function madeAnswer(
  query: MakeQuery,
  by: Answerer,
  records: {
    readonly authoritative?: boolean;
    readonly answer?: readonly string[];
    readonly additional?: readonly string[];
  },
): Extract<Made, { kind: 'message' }> {
  const { authoritative = false, answer = [], additional = [] } = records;
  const message = encodeAnswerTo(query, {
    authoritative,
    rcode: rcodeNoError,
    answer: answer.map(parseRecord),
    authority: [],
    additional: additional.map(parseRecord),
  });
  return { kind: 'message', message, by, extendedError: null, follow: null };
}
