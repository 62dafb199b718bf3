/** Real pods behind real links, and no server at all: what dig gets, the kernel has answered. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeNode, type Node } from '../real/cluster-node.js';
import { needs, output, run } from '../real/commands.js';
import { laneIsMissing } from './possible.js';
import { ours, ours6, pod, pod6 } from './world.js';

const answering = fileURLToPath(new URL('answering.js', import.meta.url));

describe('over links', { skip: laneIsMissing || needs('root', 'ip', 'dig') }, () => {
  let node: Node;
  let program: ChildProcess | null = null;
  const pods: string[] = [];

  /** A pod's namespace with the addresses of `pod`, behind this link of the node. */
  async function makePod(link: string): Promise<string> {
    const name = `${node.name}-${link}`;
    pods.push(name);
    const inPod = (...command: string[]): string[] => ['ip', 'netns', 'exec', name, ...command];
    await output(['ip', 'netns', 'add', name]);
    await output(node.command('ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name));
    await output(node.command('ip', 'link', 'set', link, 'up'));
    await output(inPod('ip', 'link', 'set', 'lo', 'up'));
    await output(inPod('ip', 'link', 'set', 'eth0', 'up'));
    await output(inPod('ip', 'address', 'add', `${pod.address}/24`, 'dev', 'eth0'));
    await output(inPod('ip', 'address', 'add', `${pod6.address}/64`, 'dev', 'eth0', 'nodad'));
    return name;
  }

  /** The node's side of the pods' network, on this link. */
  async function addGateway(link: string, inPod: string): Promise<void> {
    await output(node.command('ip', 'address', 'add', '10.244.0.1/24', 'dev', link));
    await output(node.command('ip', 'address', 'add', 'fd00:244::1/64', 'dev', link, 'nodad'));
    await output(['ip', 'netns', 'exec', inPod, 'ip', 'route', 'add', 'default', 'via', '10.244.0.1']);
    await output(['ip', 'netns', 'exec', inPod, 'ip', '-6', 'route', 'add', 'default', 'via', 'fd00:244::1']);
  }

  async function attach(...links: string[]): Promise<void> {
    const [command, ...words] = node.command(process.execPath, answering, ...links);
    program = spawn(command, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    const [line] = (await once(program.stdout!, 'data')) as [Buffer];
    assert.equal(String(line), 'ready\n');
  }

  async function dig(prefix: readonly string[], ...words: string[]): Promise<string> {
    const { stdout } = await run([...prefix, 'dig', '+tries=1', '+timeout=1', '+nocookie', ...words]);
    return stdout;
  }

  before(async () => {
    node = await makeNode();
    await output(node.command('ip', 'address', 'add', `${ours6.address}/128`, 'dev', 'lo', 'nodad'));
  });
  after(async () => {
    await end();
    for (const name of pods) await output(['ip', 'netns', 'delete', name]);
    node?.remove();
  });

  async function end(): Promise<void> {
    if (program === null) return;
    const ended = once(program, 'exit');
    program.kill();
    await ended;
    program = null;
  }

  /** The same questions over both families, from a pod or the node itself. */
  async function asksAll(prefix: readonly string[]): Promise<void> {
    for (const { address } of [ours, ours6]) {
      const at = `@${address}`;
      assert.equal(await dig(prefix, at, '+short', 'one.lane.test'), '10.1.2.3\n', address);
      assert.equal(await dig(prefix, at, '+short', '+noedns', 'MANY.lane.TEST'), '10.1.2.3\n10.1.2.4\n10.1.2.5\n');
      assert.equal(await dig(prefix, at, '+short', 'six.lane.test', 'AAAA'), 'fd00:1::3\n');
      assert.match(await dig(prefix, at, 'gone.lane.test'), /status: NXDOMAIN[\s\S]*lane\.test\.\s+30\s+IN\s+SOA/);
      // Nobody else answers here, so the usual way leads to nobody.
      assert.match(await dig(prefix, at, 'other.lane.test'), /connection refused|no servers could be reached/);
      assert.match(await dig(prefix, at, '+cookie', 'one.lane.test'), /connection refused|no servers could be reached/);
    }
  }

  test('a pod behind a veth is answered at its own end', async () => {
    const name = await makePod('pod0');
    await addGateway('pod0', name);
    await attach('pod0=peer');
    await asksAll(['ip', 'netns', 'exec', name]);
    await end();
    const prefix = ['ip', 'netns', 'exec', name];
    assert.match(await dig(prefix, `@${ours.address}`, 'one.lane.test'), /connection refused|no servers/);
    await output(node.command('ip', 'link', 'delete', 'pod0'));
  });

  test('a pod behind a bridge port is answered by the bridge', async () => {
    await output(node.command('ip', 'link', 'add', 'br0', 'type', 'bridge'));
    await output(node.command('ip', 'link', 'set', 'br0', 'up'));
    const name = await makePod('port0');
    await output(node.command('ip', 'link', 'set', 'port0', 'master', 'br0'));
    await addGateway('br0', name);
    await attach('br0=same');
    await asksAll(['ip', 'netns', 'exec', name]);
    await end();
  });

  test('the node itself is answered on lo', async () => {
    await attach('lo=same');
    await asksAll(node.command());
    await end();
  });
});
