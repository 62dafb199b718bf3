/** Two server blocks that would both answer for a zone on one address: nobody could say which of them does. */
import { addressesOverlap } from './addresses.js';
import type { BlockConfig } from './config.js';
import { ConfigError } from './error.js';

/** Throws a ConfigError at the second of two blocks that serve the same zone on overlapping addresses and one port. */
export function refuseOverlaps(blocks: readonly BlockConfig[]): void {
  const taken = new Map<string, BlockConfig[]>();
  for (const block of blocks) {
    for (const { zone, port } of block.zones) {
      const key = `${zone}:${port}`;
      const others = taken.get(key) ?? [];
      for (const other of others) {
        const address = block.addresses.find((one) => other.addresses.some((two) => addressesOverlap(one, two)));
        if (address === undefined) continue;
        const where = other.at.file === block.at.file ? `line ${other.at.line}` : `${other.at.file}:${other.at.line}`;
        const on = address === '::' ? 'all addresses' : address;
        throw new ConfigError(
          block.at,
          `the zone ${zone} on port ${port} of ${on} is already served by the server block on ${where}; ` +
            'remove one, or bind them to different addresses.',
        );
      }
      taken.set(key, [...others, block]);
    }
  }
}
