/** The Corefile of node-cache's manifest, with the cuts that a proof is about, or without. */
import type { Endpoint } from '../../src/os/network.js';

/**
 * `usual` leaves them to the program, as an operator does who knows nothing of them. `everywhere` has them for the names of
 * the outside as well, for search domains of the node.
 */
export type Cuts = 'usual' | 'off' | 'everywhere';

/** `as asked` is the manifest's: over UDP what clients ask over UDP. */
export type OutsideOver = 'tcp' | 'as asked';

interface CorefilePlaces {
  /** Where pods ask. */
  readonly bind: Endpoint;
  readonly cluster: Endpoint;
  readonly outside: Endpoint;
  /** TCP unless said. */
  readonly outsideOver?: OutsideOver;
  /** Where metrics are served; nowhere without it. */
  readonly metrics?: Endpoint;
}

export function walkCorefile(cuts: Cuts, places: CorefilePlaces): string {
  const { bind, cluster, outside, outsideOver = 'tcp', metrics } = places;
  const kept = ['cache {', '    success 9984 30', '    denial 9984 5', '}'];
  const watched = metrics === undefined ? [] : [`prometheus ${metrics.address}:${metrics.port}`];
  const block = (zone: string, lines: readonly string[], to: Endpoint): string => {
    const plain = `forward . ${to.address}:${to.port}`;
    const forward = zone === '.' && outsideOver === 'as asked' ? [plain] : [`${plain} {`, '    force_tcp', '}'];
    const all = [`bind ${bind.address}`, 'errors', ...lines, ...watched, ...forward];
    return `${zone}:${bind.port} {\n${all.map((line) => `    ${line}\n`).join('')}}\n`;
  };
  return [
    block('cluster.local', cuts === 'off' ? [...kept, 'nxdomain_cut off'] : kept, cluster),
    block('in-addr.arpa', ['cache 30'], cluster),
    block('ip6.arpa', ['cache 30'], cluster),
    block('.', cuts === 'everywhere' ? ['cache 30', 'nxdomain_cut on'] : ['cache 30'], outside),
  ].join('');
}
