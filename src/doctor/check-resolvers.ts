/** Check of the node's resolv.conf: a resolver at a loopback address may be a stub that asks this cache again, or nobody. */
import { parseResolvConf } from '../config/resolv-conf.js';
import { socketRowsBytesMax } from '../limits.js';
import type { Check, DoctorOutsides, Finding } from './check.js';
import { fineFinding, readTextOf, skippedFinding, someOf } from './found.js';
import { parseSocketRows } from './kernel-tables.js';

const resolvConf = '/etc/resolv.conf';
const stubsOfSystemd = ['127.0.0.53', '127.0.0.54'];

export const stubCheck: Check = {
  about: "the node's resolv.conf",
  isCheap: true,
  async run(outsides) {
    const code = 'stub-resolver';
    const { facts, readFile } = outsides;
    if (facts !== null && facts.nodeResolvers.length + facts.skippedResolvers.length === 0) {
      return [fineFinding(code, 'the Corefile names its resolvers itself')];
    }
    const text = readFile(resolvConf);
    if (text === undefined) return [skippedFinding(code, `${resolvConf} cannot be read`)];
    const listed = parseResolvConf(text).map(({ address }) => address);
    const own = new Set(facts?.flags.localAddresses ?? []);
    const stubs = listed.filter((address) => isLoopback(address) || own.has(address) || isUnspecified(address));
    if (stubs.length === 0) return [fineFinding(code, `${resolvConf} lists ${someOf(listed) || 'no resolver'}`)];
    const used = facts === null ? listed.filter((address) => !stubs.includes(address)) : facts.nodeResolvers;
    if (used.length === 0) return [await nothingLeft(outsides, stubs)];
    const loopbacks = used.map(withoutPort).filter(isLoopback);
    if (loopbacks.length === 0)
      return [fineFinding(code, `${someOf(stubs)} is skipped, and ${someOf(used)} asked instead`)];
    return [await usedLoopback(outsides, loopbacks)];
  },
};

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

function isUnspecified(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}

/** Facts may have the port with it. */
function withoutPort(resolver: string): string {
  return /^(\d+\.\d+\.\d+\.\d+):\d+$/u.exec(resolver)?.[1] ?? /^\[([^\]]+)\]/u.exec(resolver)?.[1] ?? resolver;
}

async function nothingLeft(outsides: DoctorOutsides, stubs: readonly string[]): Promise<Finding> {
  const isOfSystemd = stubs.some((address) => stubsOfSystemd.includes(address));
  const listening = isOfSystemd ? await listensAt(outsides, '127.0.0.53') : null;
  const resolved = listening === null ? '' : `; systemd-resolved ${listening ? 'listens' : 'does not listen'} there`;
  return {
    code: 'stub-resolver',
    verdict: 'warn',
    seen: `${resolvConf} lists ${someOf(stubs)} and no other resolver${resolved}`,
    meaning:
      'That is this node itself, which may ask this cache again, so zerohop skips it: names outside the cluster get SERVFAIL. ' +
      'The kubelet takes the file with the real resolvers by the flag below.',
    command: isOfSystemd
      ? 'kubelet --resolv-conf=/run/systemd/resolve/resolv.conf  # or resolvConf: in the KubeletConfiguration, then delete the pod'
      : 'kubelet --resolv-conf=FILE  # or resolvConf: in the KubeletConfiguration, then delete the pod',
  };
}

/** zerohop asks a forwarder of the node, such as dnsmasq at 127.0.1.1: that is deliberate where it is there. */
async function usedLoopback(outsides: DoctorOutsides, loopbacks: readonly string[]): Promise<Finding> {
  const listening = await Promise.all(loopbacks.map((address) => listensAt(outsides, address)));
  const silent = loopbacks.filter((_, index) => listening[index] === false);
  const code = 'stub-resolver';
  if (silent.length > 0) {
    return {
      code,
      verdict: 'warn',
      seen: `${resolvConf} lists ${someOf(silent)}, and nobody listens there on port 53`,
      meaning: 'zerohop asks there in vain for names outside the cluster.',
      command: 'kubelet --resolv-conf=FILE  # or resolvConf: in the KubeletConfiguration, then delete the pod',
    };
  }
  return {
    code,
    verdict: 'info',
    seen: `zerohop asks ${someOf(loopbacks)}, a forwarder of this node`,
    meaning:
      'CoreDNS pods with the same file ask themselves there, because in a pod that is the pod itself; and a forwarder that asks this cache is a loop.',
    command: 'kubelet --resolv-conf=FILE  # or resolvConf: in the KubeletConfiguration',
  };
}

/** Null: unknown. */
async function listensAt(outsides: DoctorOutsides, address: string): Promise<boolean | null> {
  const texts = await Promise.all(
    ['udp', 'udp6'].map((name) => readTextOf(outsides, `/proc/net/${name}`, socketRowsBytesMax)),
  );
  if (texts[0] === undefined) return null;
  const rows = texts.flatMap((text) => parseSocketRows(text ?? ''));
  return rows.some((row) => row.port === 53 && (row.address === address || isUnspecified(row.address)));
}
