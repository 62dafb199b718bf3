/** What the metrics say of the configuration at work: its zones, stores, upstreams and templates, with their labels. */
import type {
  AclNumbers,
  AutopathNumbers,
  EnabledPlugin,
  HostsNumbers,
  MetricsSource,
  ServedZone,
  StoreSizes,
  TemplateNumbers,
} from '../observe/metrics-source.js';
import { fromCounterKey } from '../resolve/zone-plan.js';
import type { UpstreamStats } from '../upstream/endpoint.js';
import type { BlockAtWork, Generation } from './generation.js';

/** What a scrape reads of the configuration that is in force at that moment. */
export function metricsOf(
  serving: () => Generation,
): Pick<
  MetricsSource,
  'zones' | 'stores' | 'upstreams' | 'plugins' | 'templates' | 'hosts' | 'acls' | 'autopaths' | 'corefileSha512'
> {
  return {
    zones: () => zonesOf(serving()),
    stores: () => storesOf(serving()),
    upstreams: () => upstreamsOf(serving()),
    plugins: () => pluginsOf(serving()),
    templates: () => templatesOf(serving()),
    hosts: () => hostsOf(serving()),
    acls: () => aclsOf(serving()),
    autopaths: () => autopathsOf(serving()),
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

function templatesOf(serving: Generation): TemplateNumbers[] {
  return perServer(serving, ({ templates }, server) => [
    {
      server,
      matches: templates.matches.values(),
      templateFailures: templates.templateFailures.values(),
      recordFailures: templates.recordFailures.values(),
    },
  ]);
}

function hostsOf({ blocks }: Generation): HostsNumbers[] {
  return blocks.flatMap(({ hosts }) =>
    hosts === null
      ? []
      : [{ file: hosts.file, entries: hosts.content.table.entries, readAtMs: hosts.content.readAtMs }],
  );
}

function aclsOf({ blocks, deps }: Generation): AclNumbers[] {
  const { counters } = deps.numberings;
  return blocks.flatMap(({ acl }) =>
    [...(acl?.counts.values() ?? [])].map(({ ordinal, ...numbers }) => {
      const { server } = fromCounterKey(counters.textOf(ordinal));
      return { ...numbers, server };
    }),
  );
}

function autopathsOf({ blocks, deps }: Generation): AutopathNumbers[] {
  const { counters } = deps.numberings;
  return blocks.flatMap(({ autopath }) =>
    [...(autopath?.found ?? [])].map(([ordinal, count]) => ({
      server: fromCounterKey(counters.textOf(ordinal)).server,
      count,
    })),
  );
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
