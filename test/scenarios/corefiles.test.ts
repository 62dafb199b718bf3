/**
 * Every Corefile of test/config/corefiles, served as it is, since the network in memory has every address that it
 * names. Two things are put in another's place: placeholders, as node-cache does, and all addresses (no `bind`, or
 * 0.0.0.0), for which the node's link-local one stands, because the upstreams' addresses are in that network as well. At each address of each
 * zone a question is answered by an upstream that the file names, AAAA questions get what the file says, the questions
 * of the file's own comments get what they say there, and every HTTP address answers.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatEndpoint } from '../../src/config/addresses.js';
import type { BlockConfig, Config, ForwardTarget, Position } from '../../src/config/config.js';
import { fillPillars } from '../../src/config/generated-corefile.js';
import { parseConfig } from '../../src/config/load.js';
import { settingsOf } from '../../src/config/plugins.js';
import { isInZone } from '../../src/dns/names.js';
import type { Endpoint } from '../../src/os/network.js';
import { matchesAll, template } from '../../src/plugins/template/plugin.js';
import { testOptions } from '../config/options.js';
import { type Asked, type Sample, samples } from '../config/samples.js';
import type { ClientAnswer } from '../simulation/client.js';
import { record } from '../simulation/records.js';
import { openUpstream, type Upstream } from '../simulation/upstream.js';
import { clusterDns, newWorld, opening, outsideDns, server, type World } from './world.js';

const path = '/etc/Corefile';
const resolvConf = { '/etc/resolv.conf': `nameserver ${outsideDns.address}\n` };
const addresses: Readonly<Record<string, string>> = { A: '192.0.2.9', AAAA: '2001:db8::9' };
const pillars = {
  localAddresses: [server.address],
  clusterDns: { endpoint: clusterDns, missing: null },
  prometheusAddress: ':9253',
  upstreamServers: [],
};

interface Served {
  readonly world: World;
  readonly config: Config;
  readonly upstreams: readonly Upstream[];
  ask(name: string, type: string, at: Endpoint, transport?: 'udp' | 'tcp'): Promise<ClientAnswer>;
}

for (const sample of samples) {
  describe(`the Corefile of ${sample.name}`, () => {
    it('is served: each zone at each of its addresses, AAAA as it says, and every HTTP address', async () => {
      const served = await serve(sample);
      for (const block of served.config.blocks) {
        if (block.forwards.length > 0) for (const at of placesOf(block)) await checkZone(served, block, at);
      }
      for (const asked of sample.asks) await checkAsked(served, asked);
      await checkHttp(served);
      const said = served.world.log.filter(({ level }) => level === 'error');
      assert.deepEqual(said, []);
      await served.world.stop();
    });
  });
}

async function serve(sample: Sample): Promise<Served> {
  const filled = fillPillars(sample.text, 'Corefile.base', pillars).replaceAll(
    'bind 0.0.0.0',
    `bind ${server.address}`,
  );
  const files = { ...resolvConf, ...sample.files, [path]: filled };
  const all = parseConfig(filled, path, testOptions(files)).blocks.filter(({ addresses: [bound] }) => bound === '::');
  for (const { at } of all.reverse()) bindAt(files, at);
  const config = parseConfig(files[path], path, testOptions(files));
  const world = await newWorld({ corefile: files[path], path, files, upstreams: 'closed' });
  const targets = config.blocks.flatMap(({ forwards }) => forwards.flatMap(({ to }) => to.map(endpointOf)));
  const upstreams: Upstream[] = [];
  for (const at of targets) {
    if (upstreams.some((upstream) => formatEndpoint(upstream.at) === formatEndpoint(at))) continue;
    upstreams.push(await opening(world.clock, openUpstream(world.network, world.clock, at)));
  }
  for (const upstream of upstreams) {
    upstream.on(({ question: { name, type } }) =>
      type in addresses ? { flags: 0x80, answers: [record(name, type, 30, addresses[type])] } : { flags: 0x80 },
    );
  }
  await world.passSeconds(3);
  const ask: Served['ask'] = (name, type, at, transport = 'udp') => {
    const from = at.address.includes(':') ? 'fd00:244::7' : '10.244.0.7';
    return opening(world.clock, world.client(from, at).asks(name, type as never, { transport }));
  };
  return { world, config, upstreams, ask };
}

/** Where a file names none, the upstream that stands in /etc/resolv.conf. */
function endpointOf(target: ForwardTarget): Endpoint {
  if (target.kind !== 'endpoint') return outsideDns;
  return { address: target.endpoint.address, port: target.endpoint.port };
}

/** Writes a `bind` into the server block that begins there. */
function bindAt(files: Record<string, string>, { file, line }: Position): void {
  const lines = files[file].split('\n');
  lines.splice(line, 0, `    bind ${server.address}`);
  files[file] = lines.join('\n');
}

interface Place {
  readonly zone: string;
  readonly at: Endpoint;
}

function placesOf({ zones, addresses: bound }: BlockConfig): Place[] {
  return zones.flatMap(({ zone, port }) => bound.map((address) => ({ zone, at: { address, port } })));
}

async function checkZone({ ask, upstreams }: Served, block: BlockConfig, { zone, at }: Place): Promise<void> {
  const name = zone === '.' ? 'probe.example.' : `probe.${zone}`;
  const where = `${name} at ${formatEndpoint(at)}`;
  for (const transport of ['udp', 'tcp'] as const) {
    const { rcode, data } = await ask(name, 'A', at, transport);
    assert.deepEqual([rcode, data], ['NOERROR', [addresses['A']]], `${where} over ${transport}`);
  }
  const named = block.forwards.flatMap(({ to }) => to.map((target) => formatEndpoint(endpointOf(target))));
  const asked = upstreams.filter((upstream) => named.includes(formatEndpoint(upstream.at)));
  assert.ok(
    asked.some((upstream) => upstream.asked(name) > 0),
    `${where}: an upstream of its own was asked`,
  );
  const { rcode, data } = await ask(name, 'AAAA', at);
  assert.deepEqual([rcode, data], aaaaOf(block, name), `${where}, AAAA`);
}

/** What AAAA questions for this name get by what the block says of all of them. */
function aaaaOf(block: BlockConfig, name: string): [rcode: string, data: unknown[]] {
  const { aaaa } = block;
  if (aaaa === 'nxdomain') return ['NXDOMAIN', []];
  const isDenied = (settingsOf(block, template) ?? []).some(
    (one) => [28, 255].includes(one.type) && matchesAll(one) && one.zones.some((zone) => isInZone(name, zone)),
  );
  return ['NOERROR', aaaa === 'nodata' || isDenied ? [] : [addresses['AAAA']]];
}

async function checkAsked({ ask, config }: Served, { name, type, at, rcode, data }: Asked): Promise<void> {
  const places =
    at === null
      ? config.blocks
          .flatMap(placesOf)
          .slice(0, 1)
          .map((place) => place.at)
      : [at];
  for (const place of places) {
    const answer = await ask(name, type, place);
    const got = type === 'ANY' ? [] : answer.data;
    assert.deepEqual([answer.rcode, got], [rcode, data], `${name} ${type} at ${formatEndpoint(place)}`);
  }
}

async function checkHttp({ world, config }: Served): Promise<void> {
  const pages: readonly (readonly [path: string, at: readonly Endpoint[], body: RegExp])[] = [
    ['/health', config.health?.addresses ?? [], /^OK$/u],
    ['/ready', config.ready?.addresses ?? [], /^OK$/u],
    ['/metrics', config.metrics, /^coredns_build_info\{/mu],
    ['/debug/pprof/', config.pprof, /profile/u],
  ];
  for (const [page, all, body] of pages) {
    for (const { address, port } of all) {
      const answer = await world.get(`${address}:${port}`, page);
      assert.equal(answer.status, 200, `${page} at ${address} port ${port}`);
      assert.match(answer.body, body);
    }
  }
}
