/** Profiles of the running program as an operator takes them, with curl. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { localAddress, makeNode, type Node } from './cluster-node.js';
import { eventually, needs, output } from './commands.js';
import { httpStatus, httpText, ioPath, startZerohop, type Zerohop } from './zerohop.js';

const corefile = (pprof: string): string => `. {
    bind ${localAddress}
    aaaa nodata
    whoami
    ready ${localAddress}:8181
    ${pprof}
}
`;

describe('pprof', { skip: needs('root', 'ip', 'curl') }, () => {
  let node: Node;
  let zerohop: Zerohop;
  const at = 'http://127.0.0.1:6053/debug/pprof';
  const fetch = (path: string, file: string): Promise<string> =>
    output(node.command('curl', '-sS', '-o', join(node.folder, file), '-w', '%{http_code}', `${at}/${path}`));
  const read = (file: string) => JSON.parse(readFileSync(join(node.folder, file), 'utf8'));

  before(async () => {
    node = await makeNode();
    zerohop = await startZerohop(node, corefile('pprof'));
  });
  after(async () => {
    await zerohop?.stop();
    node?.remove();
  });

  test('the page says how to read them', async () => {
    assert.match(await httpText(node, `${at}/`), /Chrome DevTools/);
  });

  test('a profile of the main thread, one at a time', async () => {
    const taking = fetch('profile?seconds=3', 'a.cpuprofile');
    await pause(1000);
    assert.deepEqual([await fetch('heap', 'refused'), await taking], ['503', '200']);
    const { nodes, samples, startTime, endTime } = read('a.cpuprofile');
    assert.ok(nodes.length > 0 && samples.length > 0);
    assert.ok(endTime - startTime >= 3e6, 'microseconds');
  });

  test('a profile of a worker', { skip: ioPath === 'portable' && 'needs workers' }, async () => {
    assert.equal(await fetch('profile?seconds=0.5&thread=1', 'b.cpuprofile'), '200');
    const urls = read('b.cpuprofile').nodes.map((each: { callFrame: { url: string } }) => each.callFrame.url);
    assert.ok(urls.some((url: string) => url.endsWith('/process/worker.js')));
    assert.equal(await fetch('profile?seconds=1&thread=2', 'none'), '404');
  });

  test('the heap of the main thread', async () => {
    assert.equal(await fetch('heap', 'a.heapsnapshot'), '200');
    const { snapshot, nodes } = read('a.heapsnapshot');
    assert.equal(nodes.length, snapshot.node_count * snapshot.meta.node_fields.length);
  });

  test('a reload without it closes it, also while a profile is taken; one with it opens it elsewhere', async () => {
    const taking = fetch('profile?seconds=60', 'cut.cpuprofile');
    await pause(1000);
    writeFileSync(zerohop.corefile, corefile(''));
    zerohop.signal('SIGHUP');
    assert.equal(await taking, '200');
    assert.ok(read('cut.cpuprofile').endTime > 0);
    await eventually('it is closed', async () => ((await httpStatus(node, `${at}/`)) === 0 ? true : undefined));
    writeFileSync(zerohop.corefile, corefile(`pprof ${localAddress}:7000`));
    zerohop.signal('SIGHUP');
    await eventually('it is elsewhere', async () =>
      (await httpStatus(node, `http://${localAddress}:7000/debug/pprof/`)) === 200 ? true : undefined,
    );
  });
});
