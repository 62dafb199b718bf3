/**
 * Which names a `forward` is responsible for: those in `from` and in none of `except`. Compared as wire bytes, by
 * whole labels, without regard to case (RFC 4343).
 */
import { nameToWire } from '../dns/names.js';
import { sameName } from '../dns/wire.js';

export interface Responsibility {
  readonly from: Uint8Array;
  readonly except: readonly Uint8Array[];
}

/** From names as the configuration has them. */
export function responsibility(names: { readonly from: string; readonly except: readonly string[] }): Responsibility {
  return { from: nameToWire(names.from), except: names.except.map(nameToWire) };
}

/** Whether one of these is responsible for the name that a question starts with. */
export function anyResponsible(all: readonly Responsibility[]): (question: Uint8Array) => boolean {
  return (question) => all.some((one) => isResponsible(one, question, question.length - 4));
}

/** `question` starts with an uncompressed name of `nameBytes`. As in CoreDNS `from` itself cannot be excepted. */
export function isResponsible({ from, except }: Responsibility, question: Uint8Array, nameBytes: number): boolean {
  if (!isInZone(question, nameBytes, from)) return false;
  if (except.length === 0 || nameBytes === from.length) return true;
  for (const zone of except) if (isInZone(question, nameBytes, zone)) return false;
  return true;
}

function isInZone(question: Uint8Array, nameBytes: number, zone: Uint8Array): boolean {
  let at = 0;
  while (nameBytes - at > zone.length) at += question[at] + 1;
  return nameBytes - at === zone.length && sameName(question, at, zone, 0, zone.length);
}
