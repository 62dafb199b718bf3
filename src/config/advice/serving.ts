/** Advice about where a configuration listens, what it serves there, and who could tell that something is wrong. */
import { isIPv4 } from 'node:net';
import type { Endpoint } from '../../os/network.js';
import { addressesOverlap, formatEndpoint } from '../addresses.js';
import type { Position } from '../config.js';
import { type Advised, type BlockRule, lineOf, placeOf, type Saying, type Whole, type WholeRule } from './advised.js';

const healthPortUsual = 8_080;

/** Said once: blocks without it are alike. */
export const bindMissing: WholeRule = ({ blocks, deps }) =>
  blocks
    .filter(({ written }) => !written.directives.some(({ name }) => name === 'bind'))
    .slice(0, 1)
    .map(({ config }) => ({
      at: config.at,
      message:
        'no bind: the server block listens on every node address, so it is open to the network and ' +
        'fails to start if any of them has the port in use',
      remedy: `add "bind ${deps.localAddresses.join(' ')}"`,
    }));

/** A socket on one address takes its packets from one on all addresses, so their zones do not add up. */
export const zonesHidden: WholeRule = ({ blocks }) => {
  const said = new Set<string>();
  return blocks.flatMap((block) =>
    placesOf(block).flatMap((place): Saying[] => {
      if (isWildcard(place.address) || said.has(formatEndpoint(place))) return [];
      const here = new Set(blocks.flatMap((each) => zonesAt(each, place)));
      const wide = blocks.find((each) =>
        each.config.zones.some(
          ({ zone, port }) => port === place.port && takesAll(each, place.address) && !here.has(zone),
        ),
      );
      if (wide === undefined) return [];
      said.add(formatEndpoint(place));
      const hidden = wide.config.zones.map(({ zone }) => zone).filter((zone) => !here.has(zone));
      return [
        {
          at: block.config.at,
          message:
            `queries to ${formatEndpoint(place)} use only the zones bound to that address, so ` +
            `${hidden.join(' ')} of ${lineOf(wide.config.at, block.config.at)} is not served there`,
          remedy: 'write the same bind in both server blocks',
        },
      ];
    }),
  );
};

function placesOf({ config }: Advised): Endpoint[] {
  const ports = [...new Set(config.zones.map(({ port }) => port))];
  return config.addresses.flatMap((address) => ports.map((port) => ({ address, port })));
}

function zonesAt({ config }: Advised, { address, port }: Endpoint): string[] {
  if (!config.addresses.includes(address)) return [];
  return config.zones.filter((zone) => zone.port === port).map(({ zone }) => zone);
}

function takesAll({ config }: Advised, address: string): boolean {
  return config.addresses.includes('::') || (config.addresses.includes('0.0.0.0') && isIPv4(address));
}

function isWildcard(address: string): boolean {
  return address === '::' || address === '0.0.0.0';
}

export const rootMissing: WholeRule = ({ blocks }) => {
  const zones = blocks.flatMap(({ config }) => config.zones.map(({ zone }) => zone));
  if (zones.includes('.')) return [];
  return [
    {
      at: blocks[0].config.at,
      message: 'no server block for ".": all other names get REFUSED',
      remedy: 'add a server block ". { … }" that forwards to /etc/resolv.conf',
    },
  ];
};

/** On the host's network other programs have it already, and then the start fails. */
export const healthOnAllAddresses: WholeRule = ({ config, blocks, deps }) => {
  const { health } = config;
  const usual = health?.addresses.filter(({ port }) => port === healthPortUsual) ?? [];
  if (!usual.some(({ address }) => isWildcard(address))) return [];
  if (blocks.some((block) => block.config.addresses.some(isWildcard))) return [];
  const address = blocks[0].config.addresses[0] ?? deps.localAddresses[0];
  return [
    {
      at: firstPlace(blocks, 'health'),
      message: `health: port ${healthPortUsual} is often in use on some node address, which makes the start fail`,
      remedy: `write "health ${formatEndpoint({ address, port: healthPortUsual })}"`,
    },
  ];
};

export const metricsPortTwice: WholeRule = ({ config, blocks, deps }) => {
  const { metricsAddress } = deps;
  if (metricsAddress === null) return [];
  const servers = [
    { name: 'health', addresses: config.health?.addresses ?? [] },
    { name: 'ready', addresses: config.ready?.addresses ?? [] },
  ];
  return servers
    .filter(({ addresses }) => addresses.some((address) => isShared(address, metricsAddress)))
    .map(({ name }) => ({
      at: firstPlace(blocks, name),
      message: `${name}: -metrics-listen-address ${formatEndpoint(metricsAddress)} uses the same port`,
      remedy: 'change one of them',
    }));
};

function isShared(one: Endpoint, other: Endpoint): boolean {
  return one.port === other.port && addressesOverlap(one.address, other.address);
}

export const errorsMissing: BlockRule = ({ config }) => {
  if (config.errors !== null || config.forwards.length === 0) return [];
  return [
    {
      at: config.at,
      message: 'no errors: the log does not say why a query of this server block failed',
      remedy: 'add "errors"',
    },
  ];
};

export const reloadMissing: WholeRule = ({ config, blocks, deps }: Whole) => {
  if (config.reload !== null || deps.reloadWithSignal) return [];
  return [
    {
      at: blocks[0].config.at,
      message: 'no reload: configuration changes wait for SIGHUP or SIGUSR1',
      remedy: 'add "reload" to one server block',
    },
  ];
};

export const healthMissing: WholeRule = ({ config, blocks, deps }) => {
  if (config.health !== null || config.ready !== null) return [];
  const address = blocks[0].config.addresses.find((each) => !isWildcard(each)) ?? deps.localAddresses[0];
  return [
    {
      at: blocks[0].config.at,
      message: 'no health or ready: probes cannot check the server',
      remedy: `add "health ${formatEndpoint({ address, port: healthPortUsual })}" to one server block`,
    },
  ];
};

function firstPlace(blocks: readonly Advised[], name: string): Position {
  const block = blocks.find(({ written }) => written.directives.some((directive) => directive.name === name));
  return placeOf(block ?? blocks[0], name);
}
