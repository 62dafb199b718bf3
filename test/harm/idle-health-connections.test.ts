/** One client holds connections to the ports of health, ready and metrics: kubelet and Prometheus are answered on. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { localAddress, makeNode, type Node } from '../real/cluster-node.js';
import { needs, run, start } from '../real/commands.js';
import { type LoopbackZerohop, question, startOnLoopback } from '../real/loopback.js';
import { freePort, openUdp } from '../real/packets.js';
import { makePods, type Pod } from '../real/pods.js';
import { httpStatus, startZerohop, type Zerohop } from '../real/zerohop.js';
import { type Holding, hold, holdingCommand, probe } from './http-fixture.js';

type Way = Omit<Holding, 'address' | 'port'>;
const request = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
const asking = { connections: 200, reads: true, everyMs: 300 };

const ways: Readonly<Record<string, Way>> = {
  'that ask for what is not there': { ...asking, first: request('/nothing'), again: request('/nothing') },
  'that ask for what is there': { ...asking, first: request('/health'), again: request('/health') },
  'that say nothing': { ...asking, first: '', again: '' },
  'that send a header byte by byte': { ...asking, first: 'GET /health HTTP/1.1\r\nHost: x\r\n', again: 'X' },
  'that send a body byte by byte': {
    ...asking,
    first: 'POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n',
    again: 'X',
  },
};

describe('connections from the host itself', () => {
  let zerohop: LoopbackZerohop;
  const ports: Record<string, number> = {};
  before(async () => {
    for (const path of ['/health', '/ready', '/metrics']) ports[path] = await freePort();
    const at = (path: string): string => `${path.slice(1)} 127.0.0.1:${ports[path]}`;
    const lines = [`${at('/health')}`, `${at('/ready')}`, `prometheus 127.0.0.1:${ports['/metrics']}`, 'whoami'];
    zerohop = await startOnLoopback(lines.join('\n'), question(1, 'good', 1));
  });
  after(() => zerohop?.stop());

  for (const [name, way] of Object.entries(ways)) {
    test(name, async () => {
      const client = await openUdp(zerohop.place);
      for (const [path, port] of Object.entries(ports)) {
        const holding = hold({ address: '127.0.0.1', port, ...way });
        const seen: number[] = [];
        try {
          for (let probes = 0; probes < 12; probes++) {
            await pause(100);
            seen.push(await probe({ address: '127.0.0.1', port }, path));
            client.send(question(probes, 'good', 1));
            await client.receive(probes);
          }
        } finally {
          holding.stop();
        }
        assert.deepEqual(
          seen.filter((status) => status !== 200),
          [],
          path,
        );
      }
      client.close();
    });
  }
});

describe('connections from a pod', { skip: needs('root', 'ip', 'curl') }, () => {
  let node: Node;
  let pods: Pod[];
  let removePods: () => Promise<void>;
  let zerohop: Zerohop;
  before(async () => {
    node = await makeNode();
    ({ pods, remove: removePods } = await makePods(node, 2));
    zerohop = await startZerohop(
      node,
      `. {\n bind ${localAddress}\n whoami\n health :8080\n ready :8181\n prometheus :9253\n}\n`,
    );
  });
  after(async () => {
    await zerohop?.stop();
    await removePods?.();
    node?.remove();
  });

  for (const [name, way] of Object.entries(ways)) {
    test(name, async () => {
      const [harmful, other] = pods;
      for (const [port, path] of [
        [8080, '/health'],
        [9253, '/metrics'],
      ] as const) {
        const holding = start(harmful.command(...holdingCommand({ address: harmful.gateway, port, ...way })));
        const seen: number[] = [];
        try {
          await pause(500);
          for (let probes = 0; probes < 6; probes++) {
            const page = `http://${other.gateway}:${port}${path}`;
            // The node's own address, whichever is asked: kubelet's probes come from there.
            seen.push(await httpStatus(node, page), await httpStatus(node, `http://127.0.0.1:${port}${path}`));
            const curl = ['curl', '-s', '-m', '2', '-o', '/dev/null', '-w', '%{http_code}', page];
            seen.push(Number((await run(other.command(...curl))).stdout));
          }
        } finally {
          await holding.stop();
        }
        assert.deepEqual(
          seen.filter((status) => status !== 200),
          [],
          path,
        );
      }
    });
  }
});
