/**
 * The node's link and rules with the real programs: a pod behind a firewall that drops asks over UDP and TCP, IPv4 and
 * IPv6, and nothing of it is tracked; what is taken away comes back; the end leaves nothing; what a kill leaves is
 * taken over; two at once do not fight. In each of the three firewalls that a node may have.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { localAddress } from './cluster-node.js';
import { eventually, needs, output } from './commands.js';
import {
  firewalls,
  iptablesOf,
  localAddress6,
  makePodNode,
  type NodeFirewall,
  nodeAddress,
  type PodNode,
} from './pod-node.js';
import { ioPath, startZerohop, type Zerohop } from './zerohop.js';

const intervalMs = 1_000;
const addresses = [localAddress, localAddress6];
const flags = [
  ...['-localip', addresses.join(), '-setupinterface', '-setupiptables', '-syncinterval', '1s'],
  '-metrics-listen-address=',
];

/** Every name has an address, and nobody need be asked. */
function corefile(port = 53, readyPort = 8181): string {
  return `.:${port} {
    bind ${addresses.join(' ')}
    template IN A {
        answer "{{ .Name }} 30 IN A 192.0.2.1"
    }
    ready :${readyPort}
}
`;
}

const skip = needs('root', 'ip', 'iptables-nft', 'iptables-legacy', 'nft', 'conntrack', 'dig', 'curl');

describe('interface and firewall rules', { skip, concurrency: 2 }, () => {
  // How packets are read does not depend on who let them in.
  const chosen = ioPath === 'threads' ? firewalls : firewalls.slice(0, 1);
  for (const firewall of chosen) describe(`with ${firewall}`, { concurrency: 1 }, () => withFirewall(firewall));
});

/** One instance serves during all of these but the last; they come one after the other. */
function withFirewall(firewall: NodeFirewall): void {
  const ruleCount = firewall === 'nftables' ? 17 : 24;
  let node: PodNode;
  let zerohop: Zerohop;

  before(async () => {
    node = await makePodNode(firewall);
    zerohop = await startZerohop(node, corefile(), flags);
  });
  after(async () => {
    zerohop?.signal('SIGKILL');
    await zerohop?.finished;
    node?.remove();
  });

  async function assertAnswered(): Promise<void> {
    for (const address of addresses) {
      for (const over of ['udp', 'tcp'] as const) {
        assert.equal(await node.digFromPod(address, over), '192.0.2.1', `${address} ${over}`);
      }
    }
  }

  async function assertInPlace(): Promise<void> {
    assert.deepEqual([(await node.ownRules()).length, await node.ownAddresses()], [ruleCount, addresses]);
  }

  /** A look may have come between what was taken away and what was taken after it. */
  async function eventuallyInPlace(): Promise<void> {
    await eventually('link and rules are in place', async () => {
      const isInPlace = (await node.ownRules()).length === ruleCount && (await node.ownAddresses()).length === 2;
      return isInPlace ? true : undefined;
    });
  }

  /** Finds this text in a log line after the first `lines`. */
  const said =
    (text: string, lines: number, by = () => zerohop) =>
    () =>
      by()
        .log()
        .slice(lines)
        .find(({ msg }) => msg.includes(text));

  /** How often it has said that it changed something of the node. */
  const changes = (of: Zerohop): number =>
    of.log().filter(({ msg }) => /^added |firewall rules (?:changed|are in place)$/.test(msg)).length;

  async function assertClean(): Promise<void> {
    assert.deepEqual([await node.ownRules(), await node.ownAddresses()], [[], []]);
  }

  /** Runs iptables as node-cache does, rule by rule: `-C` looks for one, `-I` puts it in. */
  async function asNodeCache(verb: '-C' | '-I'): Promise<void> {
    for (const address of addresses) {
      const program: string = iptablesOf(firewall)[address.includes(':') ? 1 : 0];
      for (const rule of nodeCacheRules(address)) await output(node.command(program, '-w', verb, ...rule));
    }
  }

  if (firewall === 'nftables') {
    test('the chain that drops is named, and DNS gets through once it is let in there', async () => {
      const { msg } = await zerohop.logged(/has policy drop/);
      assert.match(
        msg,
        /^nftables chain input of table inet host has policy drop.* port 53 to 169\.254\.20\.10, fd00:53::10$/,
      );
      assert.equal(await node.digFromPod(localAddress, 'udp'), undefined);
      for (const match of [`ip daddr ${localAddress}`, `ip6 daddr ${localAddress6}`]) {
        for (const protocol of ['udp', 'tcp']) {
          const rule = `insert rule inet host input ${match} ${protocol} dport 53 accept`;
          await output(node.command('nft', ...rule.split(' ')));
        }
      }
      await assertAnswered();
    });
  } else {
    test('node-cache finds our rules to be its own', () => asNodeCache('-C'));
  }

  test('a pod is answered through a firewall that drops, and nothing of it is tracked', async () => {
    await assertInPlace();
    // Our own check of ourselves may have been quicker than the rules.
    await output(node.command('conntrack', '-F'));
    await assertAnswered();
    // What is not ours is tracked: the list is not empty because nothing is looked at.
    await output(node.inPod('curl', '-s', `http://${nodeAddress}:8181/ready`));
    const flows = await node.flows();
    assert(flows.some((flow) => flow.includes('dport=8181')));
    assert.deepEqual(
      flows.filter((flow) => /port=53\b/.test(flow)),
      [],
    );
  });

  test('an address or a rule that is taken away is back within the interval', async (t) => {
    const lines = zerohop.log().length;
    await node.dropOwnAddresses();
    await node.dropOwnRules();
    const takenMs = performance.now();
    await eventually('the log says that addresses were missing', said(' to lo', lines));
    await eventually('the log says that rules were', said(' firewall rules changed', lines));
    await eventuallyInPlace();
    const backMs = performance.now() - takenMs;
    t.diagnostic(`back after ${Math.round(backMs)} ms`);
    // A look is a handful of programs, which on a busy machine take their time; test/host/ has the exact interval.
    assert(backMs < 5 * intervalMs, `${backMs} ms`);
    await assertAnswered();
  });

  test('a second instance changes nothing, at its end neither', async () => {
    const rules = await node.ownRules();
    // It serves another port, since readiness is asked of the first; link and rules are the same.
    const second = await startZerohop(node, corefile(1053, 8182), flags);
    try {
      assert.match((await second.logged(/firewall rules/)).msg, /are in place$/);
      const before = changes(zerohop) + changes(second);
      await pause(2.5 * intervalMs);
      assert.deepEqual(await node.ownRules(), rules);
      assert.equal(changes(zerohop) + changes(second), before);
    } finally {
      await second.stop();
    }
    await second.logged(/leaving interface and firewall rules in place: another program serves 169\.254\.20\.10/);
    await assertInPlace();
    await assertAnswered();
  });

  test('the end leaves nothing', async (t) => {
    const stoppedMs = performance.now();
    await zerohop.stop();
    t.diagnostic(`ended after ${Math.round(performance.now() - stoppedMs)} ms`);
    await assertClean();
  });

  // Whose the node is does not depend on its firewall; without threads there is no hand-over.
  if (firewall === 'iptables-nft' && ioPath === 'threads') {
    test('a successor looks after the node, its predecessor does not, until the successor is killed', async () => {
      const shared = [...flags, '-handover', join(node.folder, 'handover.sock')];
      zerohop = await startZerohop(node, corefile(), shared);
      const successor = await startZerohop(node, corefile(), shared);
      await successor.logged(/firewall rules/);
      const before = changes(zerohop);
      try {
        const lines = successor.log().length;
        await node.dropOwnAddresses();
        await node.dropOwnRules();
        await eventually(
          'it puts rules back',
          said(' firewall rules changed', lines, () => successor),
        );
        await eventuallyInPlace();
        await pause(1.5 * intervalMs);
        assert.equal(changes(zerohop), before);
      } finally {
        successor.signal('SIGKILL');
        await successor.finished;
      }
      await assertAnswered();
      await node.dropOwnAddresses();
      await eventually('the predecessor looks again', () => (changes(zerohop) > before ? true : undefined));
      await eventuallyInPlace();
      await assertAnswered();
      await zerohop.stop();
      await assertClean();
    });

    test('a predecessor that ends leaves the node to its successor', async () => {
      const shared = [...flags, '-handover', join(node.folder, 'handover.sock')];
      const predecessor = await startZerohop(node, corefile(), shared);
      zerohop = await startZerohop(node, corefile(), shared);
      try {
        await zerohop.logged(/firewall rules/);
      } finally {
        await predecessor.stop();
      }
      await assertInPlace();
      await assertAnswered();
      await zerohop.stop();
      await assertClean();
    });
  }

  test('what node-cache or SIGKILL has left is taken over, and gone at the end', async () => {
    if (firewall !== 'nftables') await asNodeCache('-I');
    zerohop = await startZerohop(node, corefile(), flags);
    const left = await node.ownRules();
    assert.equal(left.length, ruleCount);
    if (firewall !== 'nftables') await zerohop.logged(/firewall rules are in place$/);
    zerohop.signal('SIGKILL');
    await zerohop.finished;
    assert.deepEqual([await node.ownRules(), await node.ownAddresses()], [left, addresses]);
    zerohop = await startZerohop(node, corefile(), flags);
    await zerohop.logged(/firewall rules are in place$/);
    assert.deepEqual(await node.ownRules(), left);
    await assertAnswered();
    await zerohop.stop();
    await assertClean();
  });
}

/** The words of each rule of node-cache behind `-C` or `-I`, in its order. */
function nodeCacheRules(address: string): string[][] {
  const skipComment = 'NodeLocal DNS Cache: skip conntrack';
  const allowComment = 'NodeLocal DNS Cache: allow DNS traffic';
  const rule = (table: string, chain: string, words: string): string[] => {
    const target = table === 'raw' ? 'NOTRACK' : 'ACCEPT';
    const comment = table === 'raw' ? skipComment : allowComment;
    return [chain, '-t', table, ...words.split(' '), '-j', target, '-m', 'comment', '--comment', comment];
  };
  const both = (table: string, chain: string, words: string): string[][] =>
    ['tcp', 'udp'].map((protocol) => rule(table, chain, `-p ${protocol} ${words}`));
  return [
    ...both('raw', 'PREROUTING', `-d ${address} --dport 53`),
    ...both('filter', 'INPUT', `-d ${address} --dport 53`),
    ...both('raw', 'OUTPUT', `-s ${address} --sport 53`),
    ...both('filter', 'OUTPUT', `-s ${address} --sport 53`),
    ...both('raw', 'OUTPUT', `-d ${address} --dport 53`),
    rule('raw', 'OUTPUT', `-p tcp -d ${address} --dport 8080`),
    rule('raw', 'OUTPUT', `-p tcp -s ${address} --sport 8080`),
  ];
}
