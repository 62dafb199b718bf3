/**
 * Renames names in wire form by the rules of `rewrite`, with text in between. It never produces an invalid name (an empty label,
 * more than 255 bytes).
 */
import { lowerCaseName, wireOf, wireToName } from '../../dns/names.js';

/** The new presentation name, lower case; the same text if the rule does not apply. */
export type Renaming = (name: string) => string;

/** Renames `from`, and names below it, back to `to`. */
export function backFrom(from: string, to: string): Renaming {
  return (name) => {
    if (name === from) return to;
    return name.endsWith(`.${from}`) ? name.slice(0, -from.length) + to : name;
  };
}

/** Applies all in order to a name in wire form; null if nothing changes or the result is invalid: the record keeps its name. */
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
