/**
 * The kernel answers before the firewall, and yet only whom the firewall lets through: rules and programs of others that
 * forbid a pod forbid it the kernel's answers too, within the time that a client is known. Pods beside it notice nothing.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { laneAdmissionMs } from '../../src/limits.js';
import { eventually, needs, output } from '../real/commands.js';
import { LaneNode, type LanePod, nodeNeeds, server, server6 } from './lane-node.js';
import { laneIsMissing } from './possible.js';
import { numberedQueries } from './zones.js';

const skip = laneIsMissing || needs(...nodeNeeds, 'iptables', 'ip6tables', 'nft');
const known = numberedQueries(10);
/** Until the last admission is over, and a few questions more. */
const forbiddenWithinMs = laneAdmissionMs + 2_000;

/** One that the kernel answers. */
async function addKnownPod(node: LaneNode, link: string): Promise<LanePod> {
  const pod = await node.addPod(link);
  for (const at of [server, server6]) await node.fromKernel(pod.client, at, known);
  return pod;
}

describe('pods that are forbidden', { skip, concurrency: true }, () => {
  let node: LaneNode;
  let allowed: LanePod;
  const forbidden = new Map<string, LanePod>();
  before(async () => {
    node = await LaneNode.make();
    await node.start({ lines: 'cache 300', flags: ['-kernellane=beside'] });
    allowed = await addKnownPod(node, 'allowed');
    for (const link of ['iptables', 'nftables', 'before', 'behind']) forbidden.set(link, await addKnownPod(node, link));
  });
  after(() => node?.remove());

  /** Though it goes on asking. */
  async function getsNothing({ client }: LanePod, at: string): Promise<void> {
    await eventually(
      'it is answered no more',
      async () => (await client.answered(at, known)) === 0 || undefined,
      forbiddenWithinMs,
    );
    assert.equal(await client.answered(at, known), 0);
    assert.equal(await allowed.client.answered(at, known), known.length);
  }

  async function getsAnswersAgain({ client }: LanePod, at: string): Promise<void> {
    await eventually('it is answered', async () => (await client.answered(at, known)) === known.length || undefined);
  }

  test('by rules of iptables', async () => {
    const pod = forbidden.get('iptables')!;
    for (const [program, from, at] of [
      ['iptables', pod.address, server],
      ['ip6tables', pod.address6, server6],
    ] as const) {
      const rule = ['INPUT', '-s', from, '-p', 'udp', '--dport', '53', '-j', 'DROP'];
      await output(node.command(program, '-w', '-A', ...rule));
      await getsNothing(pod, at);
      await output(node.command(program, '-w', '-D', ...rule));
      await getsAnswersAgain(pod, at);
    }
  });

  test('by rules of nftables, before routing', async () => {
    const pod = forbidden.get('nftables')!;
    const rules = `table inet forbids { chain raw { type filter hook prerouting priority raw;
      iifname "${pod.link}" udp dport 53 drop; }; }`;
    await output(node.command('nft', rules));
    await Promise.all([getsNothing(pod, server), getsNothing(pod, server6)]);
    await output(node.command('nft', 'delete table inet forbids'));
    await getsAnswersAgain(pod, server);
  });

  test('by a program of somebody else that comes before ours', async () => {
    const pod = forbidden.get('before')!;
    const program = await node.addForeign(pod.link, 'before', 'drop');
    assert.equal(await pod.client.answered(server, known), 0);
    await program.stop();
    await getsAnswersAgain(pod, server);
  });

  test('by a program of somebody else that comes behind ours', async () => {
    const pod = forbidden.get('behind')!;
    const program = await node.addForeign(pod.link, 'behind', 'drop');
    await getsNothing(pod, server);
    await program.stop();
    await getsAnswersAgain(pod, server);
  });
});

describe('a link that a program of somebody else has', { skip }, () => {
  let node: LaneNode;
  let pod: LanePod;
  before(async () => {
    node = await LaneNode.make();
    pod = await node.addPod('pod0');
    await node.addForeign(pod.link, 'behind', 'pass');
  });
  after(() => node?.remove());

  test('is left alone', async () => {
    const zerohop = await node.start();
    await pod.client.ask(server, known);
    await zerohop.hears(`not at ${pod.link}: programs of others see its packets`);
    for (let times = 0; times < 3; times++) await pod.client.ask(server, known);
    assert.equal(await zerohop.metric('zerohop_kernel_links{state="refused"}'), 1);
    assert.equal(await node.programsAt(pod.link), 1);
    await zerohop.stop();
  });

  test('is used where that is wanted, and left by taking all out', async () => {
    const zerohop = await node.start({ flags: ['-kernellane=beside'] });
    await node.fromKernel(pod.client, server, known);
    assert.equal(await zerohop.metric('zerohop_kernel_links{state="refused"}'), 0);
    assert.equal(await node.programsAt(pod.link), 2);
    await node.stopAll();
    assert.equal(await node.programsAt(pod.link), 1);
  });
});
