/**
 * What stands for the cluster DNS: a Knot DNS on the load's core that is authoritative for everything that is asked.
 * It must not be the bottleneck of misses, and its CPU is nobody's figure.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Place } from '../../test/real/packets.js';
import { knotConfiguration } from './knot.js';
import { firstQuestion } from './names.js';
import { whileServing } from './serving.js';

export interface UpstreamWish {
  readonly knotd: string;
  readonly core: number;
  readonly folder: string;
  readonly at: Place;
}

/** Runs `use` while the upstream serves. */
export async function whileUpstreamServes<T>(wish: UpstreamWish, use: () => Promise<T>): Promise<T> {
  const folder = join(wish.folder, 'knot');
  mkdirSync(folder);
  const serving = { core: wish.core, at: wish.at, question: firstQuestion };
  return whileServing([wish.knotd, '-c', knotConfiguration(folder, wish.at)], serving, use);
}
