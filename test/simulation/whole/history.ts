/**
 * Which configurations were in force when. A reload takes effect somewhere between its beginning and its end, so in
 * between there are two; whoever judges an answer takes the one that makes it right.
 */
import type { BlockConfig, Config } from '../../../src/config/config.js';
import { isInZone } from '../../../src/dns/names.js';

interface Reign {
  readonly config: Config;
  readonly fromMs: number;
  untilMs: number;
}

export class History {
  readonly #reigns: Reign[] = [];

  /** Everything that was ever in force or about to be. */
  get configs(): readonly Config[] {
    return this.#reigns.map(({ config }) => config);
  }

  /** The one that was put in force last. */
  get current(): Config {
    return this.#reigns[this.#reigns.length - 1].config;
  }

  /** From now on it may be in force; the one before ends with `settled`. */
  begins(config: Config, nowMs: number): void {
    this.#reigns.push({ config, fromMs: nowMs, untilMs: Number.POSITIVE_INFINITY });
  }

  /** The last one is in force, and no other. */
  settled(nowMs: number): void {
    for (const reign of this.#reigns.slice(0, -1)) reign.untilMs = Math.min(reign.untilMs, nowMs);
  }

  during(fromMs: number, toMs: number): readonly Config[] {
    return this.#reigns.filter((reign) => reign.fromMs <= toMs && reign.untilMs >= fromMs).map(({ config }) => config);
  }

  /** Those by which a query at this address may be answered: a listener that is being closed keeps its last one. */
  at(address: string, fromMs: number, toMs: number): readonly Config[] {
    const inForce = this.during(fromMs, toMs);
    if (inForce.some((config) => listensAt(config, address))) return inForce;
    const last = this.configs.findLast((config) => listensAt(config, address));
    return last === undefined ? inForce : [last];
  }
}

function listensAt({ blocks }: Config, address: string): boolean {
  return blocks.some(({ addresses }) => addresses.includes(address));
}

/** The block that answers this name at this address, and the zone of it; null when there is none. */
export function blockOf(config: Config, address: string, name: string): { block: BlockConfig; zone: string } | null {
  let best: { block: BlockConfig; zone: string } | null = null;
  for (const block of config.blocks) {
    if (!block.addresses.includes(address)) continue;
    for (const { zone } of block.zones) {
      if (!isInZone(name.toLowerCase(), zone)) continue;
      if (best === null || zone.length > best.zone.length) best = { block, zone };
    }
  }
  return best;
}
