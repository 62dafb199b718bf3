/** What the kernel lane answers by, of a configuration; it loads none of the lane's code. */
import type { Config } from '../config/config.js';
import type { LaneTables } from '../lane/lane.js';
import { isWildcard } from '../os/addresses.js';
import { digestOf, type PlannedListener } from '../resolve/zone-plan.js';

/**
 * Only what is sent to a known address can be recognised in the kernel. `version` is this program's: another one may answer
 * otherwise by the same configuration.
 */
export function laneTables(config: Config, listeners: readonly PlannedListener[], version: string): LaneTables {
  const places = listeners.filter(({ at }) => !isWildcard(at.address) && !at.address.includes('%'));
  const answersDependOn = config.blocks.map(({ addresses, traits }) => [addresses, traits.cachedBy]);
  const digest = digestOf(
    JSON.stringify([version, config.sha512, answersDependOn, places.map(({ server }) => server)]),
  );
  return { places, digest: BigInt(`0x${digest}`) };
}
