/**
 * What the picture of the live page shows: zerohop on loopback with two stand-ins for the cluster DNS and one address where
 * nobody answers, an outage of half a minute, and a handful of clients whose queries come and go as a day does, only faster.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { nameToWire } from '../../src/dns/names.js';
import { eventually, start } from '../real/commands.js';
import { type Client, freePort, openUdp, type Place } from '../real/packets.js';
import { goodAnswer, startStandIn } from '../real/stand-in.js';
import { entry } from '../real/zerohop.js';

export interface Scene {
  readonly url: string;
  stop(): Promise<void>;
}

/** The page shows the machine's name. It takes root. */
const named = ['unshare', '--uts', 'sh', '-c', 'hostname worker-3 && exec "$@"', 'sh'];
const clients = ['127.0.0.11', '127.0.0.12', '127.0.0.13', '127.0.0.14', '127.0.0.15', '127.0.0.16', '127.0.0.17'];
const [aType, aaaaType] = [1, 28];
/** The first ones are asked for most. */
const names = [
  'checkout.shop.svc.cluster.local.',
  'redis-master.shop.svc.cluster.local.',
  'postgres.data.svc.cluster.local.',
  'kubernetes.default.svc.cluster.local.',
  'payments.shop.svc.cluster.local.',
  'otel-collector.observability.svc.cluster.local.',
  'cart.shop.svc.cluster.local.',
  'kafka-0.kafka.data.svc.cluster.local.',
  'api.stripe.example.',
  'storage.cloud.example.',
  'registry.build.example.',
  'search.shop.svc.cluster.local.',
];

function queryFor(id: number, name: string, type: number): Buffer {
  const header = Buffer.from('000001000001000000000000', 'hex');
  header.writeUInt16BE(id);
  return Buffer.concat([header, nameToWire(name), Buffer.from([0, type, 0, 1])]);
}

/** When the cluster DNS says nothing, from the start. */
const outage = { fromMs: 200_000, untilMs: 235_000 };

/** After so long, as a round trip to a cluster DNS takes; with an outage if it is the one that has it. */
function answeringAfter(leastMs: number, spreadMs: number, has?: 'outage'): (query: Buffer) => Promise<Buffer[]> {
  let turn = 0;
  const startedMs = performance.now();
  return async (query) => {
    const sinceMs = performance.now() - startedMs;
    if (has === 'outage' && sinceMs > outage.fromMs && sinceMs < outage.untilMs) return [];
    turn = (turn * 31 + 7) % 97;
    await pause(leastMs + (spreadMs * turn) / 97);
    const message = goodAnswer(query);
    if (query.includes('missing')) message[3] |= 3;
    if (query.includes('flaky')) message[3] |= 2;
    return [message];
  };
}

function corefileFor(port: number, [cluster, outside, dead]: readonly Place[]): string {
  const to = ({ address, port: at }: Place): string => `${address}:${at}`;
  const block = (zones: string, forward: string): string => `${zones} {
    bind 127.0.0.1
    errors
    cache 30
    template ANY AAAA {
        rcode NXDOMAIN
    }
    forward . ${forward} {
        force_tcp
    }
}
`;
  return `${block(`cluster.local:${port}`, to(cluster))}${block(`.:${port}`, `${to(outside)} ${to(dead)}`)}`;
}

/** Serves, with queries, until it is stopped. `pagePort`: of the page. */
export async function startScene(pagePort: number): Promise<Scene> {
  const standIns = [await startStandIn(answeringAfter(0.6, 1.5, 'outage')), await startStandIn(answeringAfter(6, 14))];
  const dead = { address: '127.0.0.1', port: await freePort() };
  const place = { address: '127.0.0.1', port: await freePort() };
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-scene-'));
  const corefile = join(folder, 'Corefile');
  writeFileSync(corefile, corefileFor(place.port, [...standIns, dead]));
  const alone = ['-localip', '127.0.0.1', '-setupinterface=false', '-setupiptables=false', '-handover='];
  const flags = ['-metrics-listen-address=', '-conf', corefile, '-page', `127.0.0.1:${pagePort}`];
  const program = start([...named, ...entry, ...alone, ...flags]);
  await eventually('zerohop serves', () => program.stdout().includes(' serves on ') || undefined);
  const sockets = await Promise.all(clients.map((client) => openUdp(place, client)));
  const timer = setInterval(() => askAll(sockets, performance.now()), 20);
  return {
    url: `http://127.0.0.1:${pagePort}/`,
    async stop() {
      clearInterval(timer);
      for (const socket of sockets) socket.close();
      await program.stop();
      for (const standIn of standIns) standIn.close();
      rmSync(folder, { recursive: true });
    },
  };
}

let asked = 0;

/** The queries of 20 ms. */
function askAll(sockets: readonly Client[], nowMs: number): void {
  const wave = 1 + 0.45 * Math.sin(nowMs / 40_000) + 0.2 * Math.sin(nowMs / 9_000);
  const count = Math.round(16 * wave);
  for (let index = 0; index < count; index++) {
    asked++;
    const spread = ((asked * 7919) % 1009) / 1009;
    const name = names[Math.floor(names.length * spread ** 2.2)];
    const socket = sockets[Math.floor(sockets.length * (((asked * 104_729) % 1013) / 1013) ** 1.7)];
    const isNew = asked % 19 === 0;
    const isMissing = asked % 37 === 0;
    const shown = isMissing ? `${name}missing-${asked}.svc.cluster.local.` : isNew ? `pod-${asked}.${name}` : name;
    socket.send(queryFor(asked & 0xffff, shown, asked % 5 === 0 ? aaaaType : aType));
    socket.forget();
  }
  if (asked % 900 < count) sockets[2].send(queryFor(asked & 0xffff, 'flaky.partner.example.', aType));
}
