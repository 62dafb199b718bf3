/**
 * Names become others, as rules of `rewrite` say (config/name-rules.ts), on names in wire form with text in between. A
 * name that would not be one (an empty label, more than 255 bytes) is never made.
 */
import { lowerCaseName, wireOf, wireToName } from '../../dns/names.js';

/** What a lower-case presentation name becomes; the same text where it is not concerned. */
export type Renaming = (name: string) => string;

/** Leads names that are `from`, or below it, back to `to`. */
export function backFrom(from: string, to: string): Renaming {
  return (name) => {
    if (name === from) return to;
    return name.endsWith(`.${from}`) ? name.slice(0, -from.length) + to : name;
  };
}

/**
 * One after the other over a name in wire form. Null where nothing changes it, and where what comes out is no name: a
 * record keeps its own then.
 */
export function overWire(renamings: readonly Renaming[]): ((name: Uint8Array) => Uint8Array | null) | null {
  if (renamings.length === 0) return null;
  // The records of an answer mostly have the same owner.
  let last = new Uint8Array(0);
  let lastBecame: Uint8Array | null = null;
  return (wire) => {
    if (Buffer.compare(wire, last) === 0) return lastBecame;
    const name = lowerCaseName(wireToName(wire, 0));
    const other = renamings.reduce((text, renaming) => renaming(text), name);
    last = new Uint8Array(wire);
    lastBecame = other === name ? null : wireOf(other);
    return lastBecame;
  };
}
