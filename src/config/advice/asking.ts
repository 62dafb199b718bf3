/** Advice about `forward`: who is asked, and how, and whether what is asked comes back. */
import { isInZone } from '../../dns/names.js';
import type { Endpoint } from '../../os/network.js';
import { formatEndpoint } from '../addresses.js';
import type { ForwardConfig } from '../config.js';
import { isOurs, returning, waysOf } from '../returning.js';
import type { Advised, BlockRule, Saying, Whole } from './advised.js';
import { placeOf } from './advised.js';

/** The domain of almost every cluster. */
const clusterDomain = 'cluster.local.';
/** Where systemd-resolved listens, and where it does without its own rules. */
const stubResolvers = ['127.0.0.53', '127.0.0.54'];

export const clusterDnsOverUdp: BlockRule = (block, { deps, config }) => {
  const ways = waysOf(config.blocks);
  const isCluster = block.config.zones.some(({ zone }) => isInZone(zone, clusterDomain));
  const address = deps.clusterDns.endpoint?.address;
  return block.config.forwards
    .filter(({ transport }) => transport === 'client')
    .filter((forward) =>
      plainEndpoints(forward).some((each) => (isCluster && !isOurs(each, ways)) || each.address === address),
    )
    .map(({ at }) => ({
      at,
      message:
        'forward: queries to the cluster DNS use UDP, which takes a conntrack entry per query and may lose packets',
      remedy: 'add force_tcp to its block',
    }));
};

export const forwardToOwnAddress: BlockRule = (block, whole) =>
  block.config.forwards.flatMap((forward) =>
    plainEndpoints(forward).flatMap((endpoint) => ownAddress(endpoint, forward, block, whole) ?? []),
  );

/** As when it serves: an upstream of ours is asked, unless what it is asked comes back to the block. */
function ownAddress(endpoint: Endpoint, forward: ForwardConfig, block: Advised, whole: Whole): Saying | undefined {
  const { address, port } = endpoint;
  const ways = waysOf(whole.config.blocks);
  if (!isOurs(endpoint, ways)) {
    if (!whole.deps.localAddresses.includes(address) || !portsOf(whole).has(port)) return undefined;
    return {
      at: forward.at,
      message: `forward: ${address} is a -localip address, but no server block listens there on port ${port}`,
      remedy: 'write the address of a different resolver',
    };
  }
  const { zones, isAll } = returning(ways, { block: block.config, forward, endpoint });
  if (zones.length === 0) return undefined;
  const what = isAll
    ? 'its queries come back to this server block, so it is not used'
    : `names in ${zones.join(' ')} come back to this server block, so it is not used for them`;
  return {
    at: forward.at,
    message: `forward: ${formatEndpoint(endpoint)} is this server's own address, and ${what}`,
    remedy: 'write the address of a different resolver',
  };
}

function portsOf({ blocks }: Whole): ReadonlySet<number> {
  return new Set(blocks.flatMap(({ config }) => config.zones.map(({ port }) => port)));
}

export const forwardToStubResolver: BlockRule = (block) =>
  block.config.forwards.flatMap((forward) =>
    plainEndpoints(forward)
      .filter(({ address }) => stubResolvers.includes(address))
      .map(({ address }) => ({
        at: forward.at,
        message: `forward: ${address} is systemd-resolved's stub and may loop back to this cache`,
        remedy: 'write /run/systemd/resolve/resolv.conf, which lists the resolvers behind the stub',
      })),
  );

export const outsideOverTcp: BlockRule = (block) => {
  if (!block.config.zones.some(({ zone }) => zone === '.')) return [];
  return block.config.forwards
    .filter(({ transport, to }) => transport === 'tcp' && to.some(({ kind }) => kind === 'file'))
    .map(({ at }) => ({
      at,
      message: "forward: queries to the node's resolvers use TCP, which some resolvers do not support",
      remedy: 'remove force_tcp; truncated answers are retried over TCP',
    }));
};

export const loopMissing: BlockRule = (block) => {
  const { loop, forwards } = block.config;
  if (loop || !forwards.some(({ to }) => to.some(({ kind }) => kind === 'file'))) return [];
  return [
    {
      at: placeOf(block, 'forward'),
      message: 'forward: without "loop", a forwarding loop through that file goes undetected',
      remedy: 'add "loop" to the server block',
    },
  ];
};

/** Upstreams that are written as addresses, without those over TLS. */
function plainEndpoints({ to }: ForwardConfig): Endpoint[] {
  return to.flatMap((target) => (target.kind === 'endpoint' && !target.endpoint.overTls ? [target.endpoint] : []));
}
