/**
 * What advice looks at: server blocks as they are meant beside how they were written, since only what was written has
 * a line, and what the flags say of the node. The rules themselves are in the files beside this one.
 */

import { isInZone } from '../../dns/names.js';
import type { Endpoint } from '../../os/network.js';
import type { BlockConfig, Config, Position } from '../config.js';
import type { Directive, ServerBlock } from '../corefile.js';

/** One server block. */
export interface Advised {
  readonly config: BlockConfig;
  readonly written: ServerBlock;
}

/** What the command line says that a Corefile is used with. */
export interface AdviceDeps {
  /** Addresses of the node's link, at least one. */
  readonly localAddresses: readonly string[];
  readonly clusterDns: { readonly endpoint: Endpoint | null };
  /** Where /metrics is served too; null is nowhere. */
  readonly metricsAddress: Endpoint | null;
  /** Whether the configuration's files are looked at without `reload`. */
  readonly reloadWithSignal: boolean;
}

/** A whole configuration. */
export interface Whole {
  readonly config: Config;
  readonly blocks: readonly Advised[];
  readonly deps: AdviceDeps;
}

/** What hurts, and what to do about it; neither begins with a capital or ends in a dot, since they become one sentence. */
export interface Saying {
  readonly at: Position;
  readonly message: string;
  readonly remedy: string;
}

/** What a rule has to say of one block. */
export type BlockRule = (block: Advised, whole: Whole) => readonly Saying[];

/** What a rule has to say of a configuration. */
export type WholeRule = (whole: Whole) => readonly Saying[];

/** Where a directive of the block was written, or its option; the directive where that is not there. */
export function placeOf({ written }: Advised, name: string, option?: string): Position {
  const directive = directiveOf(written, name);
  const inside = directive?.block?.find((line) => line.name === option);
  return inside?.at ?? directive?.at ?? written.at;
}

/** Whether the block's directive has this option. */
export function hasOption({ written }: Advised, name: string, option: string): boolean {
  return directiveOf(written, name)?.block?.some((line) => line.name === option) ?? false;
}

function directiveOf(written: ServerBlock, name: string): Directive | undefined {
  return written.directives.find((directive) => directive.name === name);
}

/** `line 12`, or `FILE:12` where that is another file than `beside`. */
export function lineOf({ file, line }: Position, beside: Position): string {
  return file === beside.file ? `line ${line}` : `${file}:${line}`;
}

/** Whether these zones hold all names of the block. */
export function coversAll(zones: readonly string[], all: BlockConfig['zones']): boolean {
  return all.every(({ zone }) => zones.some((wide) => isInZone(zone, wide)));
}
