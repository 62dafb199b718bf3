/** What the metrics say of the configuration at work: its zones, stores, upstreams and templates, with their labels. */

import type { Family } from '../observe/exposition.js';
import { allFamilies } from '../observe/metrics.js';
import type { EnabledPlugin, MetricsSource, Scrape, ServedZone, StoreSizes } from '../observe/metrics-source.js';
import { plugins } from '../plugins/registry.js';
import { fromCounterKey } from '../resolve/zone-plan.js';
import type { UpstreamStats } from '../upstream/endpoint.js';
import type { BlockAtWork, Generation } from './generation.js';

/** What a scrape reads of the configuration that is in force at that moment. */
export function metricsOf(
  serving: () => Generation,
): Pick<MetricsSource, 'zones' | 'stores' | 'upstreams' | 'plugins' | 'atWork' | 'serverOf' | 'corefileSha512'> {
  return {
    zones: () => zonesOf(serving()),
    stores: () => storesOf(serving()),
    upstreams: () => upstreamsOf(serving()),
    plugins: () => pluginsOf(serving()),
    atWork: (plugin) => atWorkOf(serving(), plugin),
    serverOf: (ordinal) => serverOf(serving(), ordinal),
    corefileSha512: () => serving().config.sha512,
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

/** The `zones` label: what the `cache` names, or else the block's zones. */
function cacheLabel({ config }: BlockAtWork): string {
  const named = config.cache?.zones ?? [];
  return (named.length > 0 ? named : config.zones.map(({ zone }) => zone)).join(',');
}

function storesOf(serving: Generation): StoreSizes[] {
  return perServer(serving, (block, server) => {
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

function pluginsOf(serving: Generation): EnabledPlugin[] {
  return perServer(serving, ({ config }, server) =>
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

/** What `of` says of each block, for each server on which the block is. */
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

/** Their names. */
export const familyNames: readonly string[] = families.map(({ name }) => name);
