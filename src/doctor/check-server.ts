/** Whether zerohop runs here and told the doctor about itself: without its word, the other checks see less. */
import type { Check, Finding } from './check.js';
import type { ServerFacts } from './facts.js';
import { fineFinding, howMany } from './found.js';

/** `missing` is one sentence with what to do; null where the process has answered. */
export function serverCheck(missing: string | null): Check {
  return {
    about: 'the serving process',
    isCheap: true,
    async run({ facts }) {
      if (facts === null) return [notRunning(missing ?? 'it said nothing')];
      const { version, pid, role, upSeconds } = facts;
      if (role !== 'serving') return [notServing(facts)];
      const since = howMany(Math.round(upSeconds / 60), 'minute');
      return [fineFinding('not-running', `zerohop ${version} serves for ${since} (pid ${pid})`)];
    },
  };
}

function notRunning(missing: string): Finding {
  return {
    code: 'not-running',
    verdict: 'fail',
    seen: `the cache does not run, or cannot be asked: ${missing.replace(/\.$/u, '')}`,
    meaning:
      'Pods whose resolver is this cache resolve no names while it does not run. The checks that need it are skipped.',
    command: 'kubectl -n kube-system get pods -o wide | grep node-local-dns',
  };
}

function notServing({ role, pid }: ServerFacts): Finding {
  return {
    code: 'not-running',
    verdict: 'info',
    seen: `the process that was asked (pid ${pid}) is ${role === 'stand-by' ? 'a stand-by' : 'leaving'}; another one serves`,
    meaning: 'Its counts are those of a process that has no clients.',
    command: null,
  };
}

/** What came over the control socket, if it has the shape of facts: a process of another version may send others. */
export function readServerFacts(value: unknown): ServerFacts | null {
  const facts = value as ServerFacts | null;
  const isRecord = (one: unknown): boolean => typeof one === 'object' && one !== null;
  if (!isRecord(facts) || !isRecord(facts?.flags) || !isRecord(facts?.recent)) return null;
  const { flags, recent } = facts!;
  const lists = [flags.localAddresses, facts!.nodeResolvers, facts!.skippedResolvers, facts!.aaaaPolicies];
  const others = [facts!.upstreams, facts!.topNames, facts!.notReady];
  const isListed = [...lists, ...others].every((each) => Array.isArray(each));
  const isCounted = [facts!.pid, facts!.upSeconds, flags.dnsPort, recent.queries, facts!.retries].every(
    Number.isFinite,
  );
  return isListed && isCounted && isRecord(recent.byLocalAddress) ? facts : null;
}
