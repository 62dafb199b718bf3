/**
 * The walks of test/walks/resolvers.ts are those of the libraries: glibc and musl look names up with a pod's search list, and
 * zerohop's log says what they asked.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { seededRandom } from '../simulation/random.js';
import { type AddressType, type StubAnswer, type Walk, walkOn } from '../walks/resolvers.js';
import { compileResolvers, getaddrinfo, type Library } from './clients.js';
import { clusterAddress, localAddress, makeNode, type Node } from './cluster-node.js';
import { eventually, needs } from './commands.js';
import { type Knot, startKnot } from './knot.js';
import { startZerohop, type Zerohop } from './zerohop.js';

const corefile = `.:53 {
    bind ${localAddress}
    errors
    log
    ready :8181
    cache 30
    forward . ${clusterAddress} {
        force_tcp
    }
}
`;

/** What Knot has (zones.ts): every name here has what is listed; `nothing` exists without addresses. */
const known: Readonly<Record<string, 'both' | 'A' | 'nothing'>> = {
  'www.outside.test': 'both',
  'four.outside.test': 'A',
  'web.default.svc.cluster.local': 'A',
  'svc.cluster.local': 'nothing',
};

/** Hosts that are found last, first, in the middle without addresses, and nowhere. */
const hosts = ['www.outside.test', 'four.outside.test', 'web', 'svc', 'gone.outside.test'];

describe('the libraries walk as the model does', {
  skip: needs('root', 'ip', 'knotd', 'knotc', 'gcc', 'musl-gcc', 'curl'),
}, () => {
  let node: Node;
  let knot: Knot;
  let zerohop: Zerohop;
  let programs: Readonly<Record<Library, string>>;

  before(async () => {
    node = await makeNode();
    knot = await startKnot(node);
    zerohop = await startZerohop(node, corefile);
    programs = await compileResolvers(node);
  });
  after(async () => {
    await zerohop?.stop();
    await knot?.stop();
    node?.remove();
  });

  for (const library of ['glibc', 'musl'] as const) {
    for (const family of ['inet', 'unspec'] as const) {
      for (const host of hosts) {
        it(`${library} looks up ${host} for ${family}`, async () => {
          const expected = await modelled({ library, family, host, namespace: 'default' });
          const before = questionsIn(zerohop).length;
          await getaddrinfo(node, programs[library], family, host);
          const asked = await eventually(`${expected.length} questions`, () => {
            const questions = questionsIn(zerohop).slice(before);
            return questions.length >= expected.length ? questions : undefined;
          });
          assert.deepEqual(byName(asked), byName(expected));
        });
      }
    }
  }
});

/** Questions as `NAME TYPE`, in the order in which the model asks them. */
async function modelled(walk: Walk): Promise<string[]> {
  const asked: string[] = [];
  const ask = async (name: string, type: AddressType): Promise<StubAnswer> => {
    asked.push(`${name} ${type}`);
    const has = known[name];
    if (has === undefined) return { rcode: 'NXDOMAIN', addresses: [] };
    return { rcode: 'NOERROR', addresses: has === 'both' || has === type ? ['found'] : [] };
  };
  await walkOn(walk, ask, seededRandom(1));
  return asked;
}

function questionsIn(zerohop: Zerohop): string[] {
  return zerohop.log().flatMap(({ msg }) => {
    const [, type, name] = /"(A|AAAA) IN (\S+)\. udp /u.exec(msg) ?? [];
    return name === undefined ? [] : [`${name} ${type}`];
  });
}

/** Names in their order, each with its types; two questions that are sent together may arrive in any order. */
function byName(questions: readonly string[]): string[][] {
  const types = new Map<string, string[]>();
  for (const question of questions) {
    const [name, type] = question.split(' ');
    types.set(name, [...(types.get(name) ?? []), type].sort());
  }
  return [...types].map(([name, all]) => [name, ...all]);
}
