/** /top after real traffic, read on the node and refused to a pod. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { localAddress, makeNode, type Node } from './cluster-node.js';
import { eventually, needs, output } from './commands.js';
import { httpText, ioPath, metric, startZerohop, type Zerohop } from './zerohop.js';

const corefile = `. {
    bind ${localAddress}
    cache
    hosts {
        10.1.0.1 web.example
        10.1.0.2 db.example
    }
    health ${localAddress}:8080
    ready ${localAddress}:8181
    prometheus :9253
}
`;
const podAddress = '10.244.0.7';

describe('/top', { skip: needs('root', 'ip', 'curl', 'dnsperf') }, () => {
  let node: Node;
  let zerohop: Zerohop;
  let pod: string;
  const inPod = (...command: string[]): Promise<string> => output(['ip', 'netns', 'exec', pod, ...command]);
  const onNode = (...command: string[]): Promise<string> => output(node.command(...command));

  before(async () => {
    node = await makeNode();
    pod = `${node.name}-pod`;
    await output(['ip', 'netns', 'add', pod]);
    await onNode('ip', 'link', 'add', 'pod', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pod);
    await onNode('ip', 'address', 'add', '10.244.0.1/24', 'dev', 'pod');
    await onNode('ip', 'link', 'set', 'pod', 'up');
    await inPod('ip', 'address', 'add', `${podAddress}/24`, 'dev', 'eth0');
    await inPod('ip', 'link', 'set', 'eth0', 'up');
    await inPod('ip', 'route', 'add', 'default', 'via', '10.244.0.1');
    zerohop = await startZerohop(node, corefile);
    const questions = join(node.folder, 'questions');
    writeFileSync(questions, ['web.example A', 'web.example AAAA', 'web.example A', 'db.example A'].join('\n'));
    await inPod('dnsperf', '-s', localAddress, '-d', questions, '-n', '2000', '-q', '50');
  });
  after(async () => {
    await zerohop?.stop();
    if (pod !== undefined) await output(['ip', 'netns', 'delete', pod]);
    node?.remove();
  });

  test('the node is told what was asked most, and by whom, hits included', async () => {
    const page = await eventually('samples are read', async () => {
      const read = JSON.parse(await httpText(node, `http://${localAddress}:8080/top`));
      return read.names.length >= 3 ? read : undefined;
    });
    const shares = page.names.map(({ name, type, count }: { name: string; type: string; count: number }) => {
      return [`${name} ${type}`, count / page.packets] as const;
    });
    assert.equal(shares[0][0], 'web.example. A');
    assert.ok(Math.abs(shares[0][1] - 1 / 2) < 0.15, `${shares[0][1]} of all`);
    assert.deepEqual(shares.map(([what]: readonly [string, number]) => what).sort(), [
      'db.example. A',
      'web.example. A',
      'web.example. AAAA',
    ]);
    assert.equal(page.clients[0].client, podAddress);
    assert.ok(page.packets > 7_000 && page.packets < 9_000, `${page.packets} of 8,000`);
  });

  test('a pod is not', async () => {
    const code = await inPod('curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', `http://${localAddress}:8080/top`);
    assert.equal(code, '403');
    assert.equal(await inPod('curl', '-s', `http://${localAddress}:8080/health`), 'OK');
  });

  test('batches are counted where there are workers', async () => {
    const [count, sum] = [
      await metric(node, 'zerohop_batch_packets_count'),
      await metric(node, 'zerohop_batch_packets_sum'),
    ];
    if (ioPath === 'portable') assert.deepEqual([count, sum], [0, 0]);
    else assert.ok(sum >= 8_000 && count > 0 && count <= sum, `${count} batches with ${sum}`);
  });
});
