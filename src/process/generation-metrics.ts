/** The labels and numbers that /metrics shows of the configuration in force: zones, stores, upstreams, plugins. */

import type { Family } from '../observe/exposition.js';
import { allFamilies } from '../observe/metrics.js';
import type { EnabledPlugin, MetricsSource, Scrape, ServedZone, StoreSizes } from '../observe/metrics-source.js';
import { plugins } from '../plugins/registry.js';
import { fromCounterKey } from '../resolve/zone-plan.js';
import type { UpstreamStats } from '../upstream/stats.js';
import type { BlockAtWork, Generation } from './generation.js';

export function metricsOf(
  generation: () => Generation,
): Pick<MetricsSource, 'zones' | 'stores' | 'upstreams' | 'plugins' | 'atWork' | 'serverOf' | 'corefileSha512'> {
  return {
    zones: () => zonesOf(generation()),
    stores: () => storesOf(generation()),
    upstreams: () => upstreamsOf(generation()),
    plugins: () => pluginsOf(generation()),
    atWork: (plugin) => atWorkOf(generation(), plugin),
    serverOf: (ordinal) => serverOf(generation(), ordinal),
    corefileSha512: () => generation().config.sha512,
  };
}

function zonesOf({ listeners, blocks, deps }: Generation): ServedZone[] {
  const { counters } = deps.numberings;
  const zones = new Map<number, ServedZone>();
  for (const { zones: served, table, server } of listeners) {
    for (const { ordinal, block } of served) {
      const { config } = blocks[block];
      const cacheZones = config.cache === null ? null : cacheLabel(blocks[block]);
      zones.set(ordinal, {
        ...fromCounterKey(counters.textOf(ordinal)),
        ordinal,
        cacheZones,
        prometheus: config.prometheus,
      });
    }
    const prometheus = served.some((zone) => blocks[zone.block].config.prometheus);
    zones.set(table.droppedOrdinal, {
      server,
      zone: 'dropped',
      ordinal: table.droppedOrdinal,
      cacheZones: null,
      prometheus,
    });
  }
  return [...zones.values()];
}

/** The `zones` label: the zones of `cache`, or else the block's. */
function cacheLabel({ config }: BlockAtWork): string {
  const named = config.cache?.zones ?? [];
  return (named.length > 0 ? named : config.zones.map(({ zone }) => zone)).join(',');
}

function storesOf(generation: Generation): StoreSizes[] {
  return perServer(generation, (block, server) => {
    const { store } = block;
    if (store === null) return [];
    return [
      {
        server,
        zones: cacheLabel(block),
        success: { entries: store.success.size, evictions: store.evictedSuccess },
        denial: { entries: store.denial.size, evictions: store.evictedDenial },
      },
    ];
  });
}

function pluginsOf(generation: Generation): EnabledPlugin[] {
  return perServer(generation, ({ config }, server) =>
    config.zones.flatMap(({ zone }) => config.directives.map((name) => ({ server, zone, name }))),
  );
}

function upstreamsOf({ blocks }: Generation): UpstreamStats[] {
  return blocks.flatMap(({ forwards }) => [...forwards.upstreams()]);
}

function atWorkOf({ listeners, blocks }: Generation, name: string): ReturnType<MetricsSource['atWork']> {
  return blocks.flatMap(({ plugins }, index) => {
    const atWork = plugins.get(name);
    if (atWork === undefined) return [];
    const here = listeners.filter(({ zones }) => zones.some(({ block }) => block === index));
    return [{ atWork, servers: here.map(({ server }) => server) }];
  });
}

function serverOf({ deps }: Generation, ordinal: number): string {
  return fromCounterKey(deps.numberings.counters.textOf(ordinal)).server;
}

/** `of` for each block on each of its servers. */
function perServer<Item>(
  { listeners, blocks }: Generation,
  of: (block: BlockAtWork, server: string) => Item[],
): Item[] {
  return listeners.flatMap(({ server, zones }) =>
    [...new Set(zones.map((zone) => zone.block))].flatMap((block) => of(blocks[block], server)),
  );
}

const ofPlugins: readonly Family<Scrape>[] = plugins.flatMap(({ name: plugin, metrics = [] }) =>
  metrics.map(({ name, help, type, samples }) => ({
    name,
    help,
    type,
    samples: ({ source, served }) =>
      samples({ atWork: source.atWork(plugin), serverOf: (ordinal) => source.serverOf(ordinal), served }),
  })),
);

/** Every family that /metrics shows. */
export const families = allFamilies(ofPlugins);

export const familyNames: readonly string[] = families.map(({ name }) => name);
