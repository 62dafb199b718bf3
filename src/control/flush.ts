/** `zerohop flush`: which cached answers go, and what the command says of it. */
import { atMessage, type BlockRef, type Blocks } from '../cache/blocks.js';
import { wireOf } from '../dns/names.js';
import { sameName } from '../dns/wire.js';
import { headerBytes } from '../limits.js';
import { ControlError, type ControlRequest } from './protocol.js';
import { printable, quantity } from './text.js';

/** Names in wire form and lower case. */
export interface FlushArguments {
  readonly wire: Uint8Array;
  /** `name`: this one; `zone`: this one and all below it. */
  readonly what: 'name' | 'zone';
  readonly text: string;
}

export interface FlushItem {
  /** One of both. */
  readonly name?: string;
  readonly zone?: string;
  /** Cached answers that are gone, of all types, server blocks and variants. */
  readonly entries: number;
  /** Answers in the kernel that an earlier process had published, and that had no entry here. */
  readonly kernelEntries: number;
}

/** Throws a ControlError for what is no name. */
export function readFlushRequest({ name, zone }: ControlRequest['arguments']): FlushArguments {
  const what = zone === undefined ? 'name' : 'zone';
  const text = zone ?? name;
  const wire = typeof text === 'string' ? wireOf(text.toLowerCase()) : null;
  if (wire === null) throw new ControlError('usage', 'flush needs a name or a zone.');
  return { wire, what, text: text as string };
}

/** Whether a name in wire form and lower case, at this byte, is meant. */
export function isFlushed({ wire, what }: FlushArguments): (bytes: Uint8Array, nameAt: number) => boolean {
  return (bytes, nameAt) => {
    let at = nameAt;
    const end = endOfName(bytes, nameAt);
    if (what === 'name') return end - at === wire.length && sameName(bytes, at, wire, 0, wire.length);
    while (end - at > wire.length) at += bytes[at] + 1;
    return end - at === wire.length && sameName(bytes, at, wire, 0, wire.length);
  };
}

/** For entries of the cache, whose names are not compressed. */
export function isFlushedEntry(wanted: FlushArguments, { bytes }: Blocks): (ref: BlockRef) => boolean {
  const isMeant = isFlushed(wanted);
  return (ref) => isMeant(bytes, ref + atMessage + headerBytes);
}

function endOfName(bytes: Uint8Array, nameAt: number): number {
  let at = nameAt;
  while (bytes[at] !== 0) at += bytes[at] + 1;
  return at + 1;
}

export function flushItem(
  { what, text }: FlushArguments,
  counts: Pick<FlushItem, 'entries' | 'kernelEntries'>,
): FlushItem {
  return what === 'name' ? { name: text, ...counts } : { zone: text, ...counts };
}

/** For people; without the last line end. */
export function flushText({ name, zone, entries, kernelEntries }: FlushItem): string {
  const gone = `dropped ${quantity(entries, 'cached answer')}`;
  const inKernel =
    kernelEntries > 0 ? `, and ${quantity(kernelEntries, 'answer')} of an earlier process in the kernel` : '';
  return `${gone} ${name === undefined ? `at and below ${printable(zone ?? '')}` : `of ${printable(name)}`}${inKernel}`;
}
