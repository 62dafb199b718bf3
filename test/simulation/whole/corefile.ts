/**
 * Corefiles at random: zones, cache options, stale modes, AAAA policies and ways to ask, in combinations that nobody
 * would write down. Text only; what a Corefile means, the judge reads from the parsed configuration.
 */
import type { Endpoint } from '../../../src/os/network.js';
import type { Random } from '../../../src/os/random.js';
import { chance } from '../random.js';

export const upstreamPlaces: readonly Endpoint[] = [
  { address: '10.96.0.10', port: 53 },
  { address: '192.0.2.53', port: 53 },
  { address: '192.0.2.54', port: 5353 },
];

/** Where clients ask; the second address is not in every Corefile. */
export const listenPlaces: readonly Endpoint[] = [
  { address: '169.254.20.10', port: 53 },
  { address: '169.254.20.11', port: 53 },
];

/** A resolv.conf that some Corefiles name; what is in it changes. */
export const resolvConf = '/etc/resolv.conf';

export const metricsPlace = '169.254.20.10:9253';

/** One of the values, each as likely as the others. */
export function oneOf<Value>(random: Random, values: readonly Value[]): Value {
  return values[random.below(values.length)];
}

/** A Corefile that must be accepted. */
export function randomCorefile(random: Random): string {
  const zones = ['cluster.test', 'example.test', 'deep.example.test'].filter(() => chance(random, 0.5));
  if (zones.length === 0 || chance(random, 0.9)) zones.unshift('.');
  const second = chance(random, 0.3) ? ` ${listenPlaces[1].address}` : '';
  return zones.map((zone, index) => block(random, zone, index, second)).join('');
}

/** What may be found in a resolv.conf; at times it names nobody. */
export function randomResolvConf(random: Random): string {
  const servers = upstreamPlaces.filter(({ port }) => port === 53 && chance(random, 0.7));
  return `search cluster.test\n${servers.map(({ address }) => `nameserver ${address}\n`).join('')}`;
}

/** A Corefile that must be refused. */
export function brokenCorefile(random: Random): string {
  const good = randomCorefile(random);
  return oneOf(random, [
    good.replace('forward', 'foward'),
    good.replace(/\}\n$/, ''),
    good.replace('{', '{\n  kubernetes\n'),
    '',
    `${good}${good}`,
  ]);
}

function block(random: Random, zone: string, index: number, second: string): string {
  const lines = [
    `bind ${listenPlaces[0].address}${index === 0 || chance(random, 0.7) ? second : ''}`,
    ...(index === 0 ? [`prometheus ${metricsPlace}`] : []),
    ...(index === 0 && chance(random, 0.3) ? [`health 169.254.20.10:8080 {\n lameduck ${random.below(3)}s\n }`] : []),
    ...(chance(random, 0.7) ? ['errors'] : []),
    ...(chance(random, 0.2) ? ['log'] : []),
    ...(chance(random, 0.6) ? [`aaaa ${oneOf(random, ['nxdomain', 'nodata', 'smart', 'smart', 'forward'])}`] : []),
    ...(chance(random, 0.3) ? [`bufsize ${oneOf(random, [512, 800, 1232, 4096])}`] : []),
    ...(chance(random, 0.2) ? [timeouts(random)] : []),
    ...(chance(random, 0.9) ? [cache(random)] : []),
    ...(chance(random, 0.1) ? [`forward nowhere.${zone === '.' ? '' : zone} ${upstreamPlaces[1].address}`] : []),
    forward(random),
    ...(chance(random, 0.1) ? [`forward . ${upstreamPlaces[1].address}`] : []),
  ];
  return `${zone} {\n${lines.map((line) => `  ${line}\n`).join('')}}\n`;
}

function timeouts(random: Random): string {
  const options = [
    `read ${1 + random.below(4)}s`,
    `idle ${1 + random.below(20)}s`,
    ...(chance(random, 0.3) ? [`write ${1 + random.below(3)}s`] : []),
    ...(chance(random, 0.3) ? [`maxtcpqueries ${oneOf(random, [1, 3, 40])}`] : []),
  ];
  return `timeouts {\n${options.map((option) => `    ${option}\n`).join('')}  }`;
}

function cache(random: Random): string {
  const options = [
    ...(chance(random, 0.3) ? [`success ${store(random, [1, 5, 60, 3600])}`] : []),
    ...(chance(random, 0.3) ? [`denial ${store(random, [1, 5, 60, 1800])}`] : []),
    ...(chance(random, 0.3)
      ? [`prefetch ${1 + random.below(3)} ${oneOf(random, ['1s', '1m'])} ${10 + random.below(81)}%`]
      : []),
    ...(chance(random, 0.5) ? [stale(random)] : []),
    ...(chance(random, 0.2) ? ['serve_stale_policy prefer_positive'] : []),
    ...(chance(random, 0.3) ? [`servfail ${oneOf(random, ['0', '1s', '5s', '5m'])}`] : []),
    ...(chance(random, 0.1) ? [`disable ${oneOf(random, ['success', 'denial'])} n3.example.test n4.cluster.test`] : []),
    ...(chance(random, 0.1) ? ['keepttl'] : []),
  ];
  const ttl = chance(random, 0.3) ? ` ${oneOf(random, [1, 10, 30, 300])}` : '';
  return `cache${ttl}${options.length === 0 ? '' : ` {\n${options.map((option) => `    ${option}\n`).join('')}  }`}`;
}

function store(random: Random, ttls: readonly number[]): string {
  const ttl = oneOf(random, ttls);
  const capacity = oneOf(random, [2, 20, 9984, 9984]);
  return `${capacity} ${ttl}${chance(random, 0.3) ? ` ${random.below(Math.min(ttl, 20) + 1)}` : ''}`;
}

function stale(random: Random): string {
  const age = oneOf(random, ['10s', '1h', '24h']);
  const ttl = oneOf(random, ['', ' 0s', ' 7s']);
  const recheck = ttl === '' ? '' : oneOf(random, ['', ' 5s']);
  return oneOf(random, [
    'serve_stale 0',
    'serve_stale',
    `serve_stale ${age} immediate${ttl}${recheck}`,
    `serve_stale ${age} verify`,
    `serve_stale ${age} verify ${oneOf(random, ['0', '100ms', '1s', '5s'])}${ttl}${recheck}`,
  ]);
}

function forward(random: Random): string {
  const targets = upstreamPlaces.filter(() => chance(random, 0.6)).map(({ address, port }) => `${address}:${port}`);
  if (targets.length === 0) targets.push(upstreamPlaces[0].address);
  if (chance(random, 0.15)) targets.splice(0, targets.length, resolvConf);
  const maxAge = chance(random, 0.2) ? [`max_age ${oneOf(random, ['0', '20s'])}`] : [];
  const options = [
    ...oneOf(random, [[], ['force_tcp'], ['force_tcp'], ['prefer_udp']]),
    ...(chance(random, 0.3) ? [`policy ${oneOf(random, ['random', 'round_robin', 'sequential'])}`] : []),
    ...(chance(random, 0.15) ? [`max_concurrent ${1 + random.below(30)}`] : []),
    ...(chance(random, 0.2) ? [`max_fails ${random.below(4)}`] : []),
    ...(chance(random, 0.2) ? [`expire ${oneOf(random, ['100ms', '1s', '15s'])}`] : []),
    ...maxAge,
    ...(chance(random, 0.1) ? [`read_timeout ${oneOf(random, ['300ms', '1s'])}`] : []),
    ...(chance(random, 0.1) ? [`max_idle_conns ${random.below(3)}`] : []),
    ...(chance(random, 0.15) ? ['failover SERVFAIL REFUSED'] : []),
    ...(chance(random, 0.1) ? ['next NXDOMAIN REFUSED'] : []),
    ...(chance(random, 0.05) ? ['next_on_nodata'] : []),
    ...(chance(random, 0.1) ? ['failfast_all_unhealthy_upstreams'] : []),
    ...(chance(random, 0.1) ? ['except x.example.test'] : []),
  ];
  return `forward . ${targets.join(' ')} {\n${options.map((option) => `    ${option}\n`).join('')}  }`;
}
