/**
 * What each CoreDNS pod publishes about itself at :9153/metrics and :8181/ready: restarts, failures, refusals by the API
 * server, load, and where it forwards to. Counters are read twice, so only what happens now counts.
 */
import { splitHostPort } from '../config/addresses.js';
import { doctorCountersApartMs, doctorEndpointsMax, doctorFetchBytesMax, doctorFetchMs } from '../limits.js';
import type { Check, DoctorOutsides, Finding } from './check.js';
import { clusterRulesOf, endpointsIn } from './cluster-evidence.js';
import { fineFinding, oncePerRun, pause, percent, skippedFinding, someOf } from './found.js';
import { type MetricSample, sampleSum, samplesOf } from './metrics-text.js';

const responses = 'coredns_dns_responses_total';
const requests = 'coredns_dns_requests_total';
const cpuSeconds = 'process_cpu_seconds_total';
const startTime = 'process_start_time_seconds';
const apiRequests = 'coredns_kubernetes_rest_client_requests_total';
const panics = 'coredns_panics_total';
/** By version: 1.11 and later, before, and before that. */
const forwarded = ['coredns_proxy_request_duration_seconds_count', 'coredns_forward_request_duration_seconds_count'];
const forwardedOf = [...forwarded, 'coredns_forward_requests_total'];
const failedChecks = ['coredns_proxy_healthcheck_failures_total', 'coredns_forward_healthcheck_failures_total'];
const metricNames = [responses, requests, cpuSeconds, startTime, apiRequests, panics, ...forwardedOf, ...failedChecks];

/** One pod: what it published at the beginning and at the end of the run. */
interface CoreDnsPages {
  readonly address: string;
  readonly before: readonly MetricSample[];
  readonly after: readonly MetricSample[];
  readonly apartSeconds: number;
  /** Null: there is no such page. */
  readonly ready: { readonly status: number; readonly body: string } | null;
}

/** Of the endpoints that publish at least one of both pages. */
const coreDnsPagesOf = oncePerRun(async (outsides): Promise<readonly CoreDnsPages[]> => {
  const endpoints = endpointsIn(await clusterRulesOf(outsides)).slice(0, doctorEndpointsMax);
  const all = await Promise.all(endpoints.map(({ address }) => pagesAt(outsides, address)));
  return all.flatMap((each) => each ?? []);
});

async function pagesAt(outsides: DoctorOutsides, address: string): Promise<CoreDnsPages | null> {
  const { clock, fetchText } = outsides;
  const host = address.includes(':') ? `[${address}]` : address;
  const metrics = async (): Promise<readonly MetricSample[]> => {
    const page = await fetchText(`http://${host}:9153/metrics`, {
      timeoutMs: doctorFetchMs,
      bytesMax: doctorFetchBytesMax,
    });
    return page?.status === 200 ? samplesOf(page.body, metricNames) : [];
  };
  const startedMs = clock.nowMs();
  const [ready, before] = await Promise.all([
    fetchText(`http://${host}:8181/ready`, { timeoutMs: doctorFetchMs, bytesMax: 1024 }),
    metrics(),
  ]);
  if (before.length === 0) return ready === null ? null : { address, before, after: [], apartSeconds: 0, ready };
  await pause(clock, doctorCountersApartMs);
  const after = await metrics();
  return { address, before, after, apartSeconds: (clock.nowMs() - startedMs) / 1_000, ready };
}

/** A check over the pages of all pods that have what it needs; `judge` gives a finding for each pod that is not well. */
function pagesCheck(
  about: string,
  code: string,
  needs: (pages: CoreDnsPages) => boolean,
  judge: (pages: readonly CoreDnsPages[], outsides: DoctorOutsides) => { bad: readonly Finding[]; fine: string },
): Check {
  return {
    about,
    isCheap: false,
    async run(outsides) {
      const usable = (await coreDnsPagesOf(outsides)).filter(needs);
      if (usable.length === 0) return [skippedFinding(code, 'no endpoint publishes it, or none is known')];
      const { bad, fine } = judge(usable, outsides);
      return bad.length > 0 ? bad : [fineFinding(code, fine)];
    },
  };
}

/** How much the counter grew between both reads; 0 where it is in one of them only, as after a restart. */
function growthOf(pages: CoreDnsPages, name: string, wish?: Readonly<Record<string, string>>): number {
  const [before, after] = [pages.before, pages.after].map((samples) => sampleSum(samples, name, wish));
  return after === null ? 0 : Math.max(0, after - (before ?? 0));
}

const logsOf = 'kubectl -n kube-system logs -l k8s-app=kube-dns --prefix --tail=50';
const recentlySeconds = 600;
const longAgoSeconds = 3_600;

export const restartedCheck: Check = pagesCheck(
  'restarts of CoreDNS',
  'coredns-restarted',
  ({ before }) => sampleSum(before, startTime) !== null,
  (all, { clock }) => {
    const ages = all.map(({ address, before }) => ({
      address,
      seconds: clock.wallMs() / 1_000 - sampleSum(before, startTime)!,
    }));
    const oldest = Math.max(...ages.map(({ seconds }) => seconds));
    const young = ages.filter(({ seconds }) => seconds < recentlySeconds);
    const fine = ages.map(({ address, seconds }) => `${address} runs for ${ageText(seconds)}`);
    if (oldest < longAgoSeconds || young.length === 0) return { bad: [], fine: someOf(fine) };
    const seen = young.map(({ address, seconds }) => `${address} started ${ageText(seconds)} ago`);
    const finding: Finding = {
      code: 'coredns-restarted',
      verdict: 'warn',
      seen: `${someOf(seen)}, the oldest ${ageText(oldest)} ago`,
      meaning: 'Unless somebody has moved it, it crashed, ran out of memory, or failed its probe.',
      command: 'kubectl -n kube-system get pods -l k8s-app=kube-dns; kubectl -n kube-system logs -p POD',
    };
    return { bad: [finding], fine: '' };
  },
);

/** `40 s`, `4 min`, `3 h`, `37 days`. */
export function ageText(seconds: number): string {
  if (seconds < 120) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} days`;
}

export const notReadyCheck: Check = pagesCheck(
  'readiness of CoreDNS',
  'coredns-not-ready',
  ({ ready }) => ready !== null,
  (all) => {
    const bad = all.filter(({ ready }) => ready!.status !== 200);
    return {
      bad: bad.map(({ address, ready }) => {
        const waitsFor = ready!.body.trim().replace(/\s+/gu, ' ').slice(0, 80);
        return {
          code: 'coredns-not-ready',
          verdict: 'warn',
          seen: `${address} is not ready${waitsFor === '' ? '' : `; it waits for: ${waitsFor}`}, and is still in the Service`,
          meaning: 'kube-proxy takes it out within seconds, unless no other pod is ready.',
          command: logsOf,
        };
      }),
      fine: `${someOf(all.map(({ address }) => address))} are ready`,
    };
  },
);

const servfailShareLeast = 0.05;
const servfailsLeast = 10;

export const servfailCheck: Check = pagesCheck(
  'failures of CoreDNS',
  'coredns-servfail',
  ({ after }) => sampleSum(after, responses) !== null,
  (all) => {
    const counted = all.map((pages) => ({
      pages,
      servfails: growthOf(pages, responses, { rcode: 'SERVFAIL' }),
      total: growthOf(pages, responses),
      panics: growthOf(pages, panics),
    }));
    const bad = counted.filter(({ servfails, total, panics: panicked }) => {
      return panicked > 0 || (servfails >= servfailsLeast && servfails >= servfailShareLeast * total);
    });
    return { bad: bad.map(failingCoreDns), fine: shareText(counted) };
  },
);

function failingCoreDns(seen: { pages: CoreDnsPages; servfails: number; total: number; panics: number }): Finding {
  const { pages, servfails, total, panics: panicked } = seen;
  const failed = failedChecks.flatMap((name) =>
    pages.after.filter((sample) => sample.name === name && growthOf(pages, name, sample.labels) > 0),
  );
  const to = [...new Set(failed.flatMap(({ labels }) => labels['to'] ?? []))];
  return {
    code: 'coredns-servfail',
    verdict: 'warn',
    seen:
      `${pages.address} answers ${percent(servfails, total)} SERVFAIL` +
      (panicked > 0 ? `, and ${panicked} panics` : '') +
      (to.length > 0 ? `; its forwards to ${someOf(to)} fail` : ''),
    meaning: 'What it forwards to is down or slow, or it has lost the API server.',
    command: logsOf,
  };
}

function shareText(counted: readonly { readonly servfails: number; readonly total: number }[]): string {
  const total = counted.reduce((sum, each) => sum + each.total, 0);
  const servfails = counted.reduce((sum, each) => sum + each.servfails, 0);
  return `${percent(servfails, total)} SERVFAIL in ${Math.round(doctorCountersApartMs / 1_000)} s`;
}

export const rbacCheck: Check = pagesCheck(
  'what the API server refuses to CoreDNS',
  'coredns-rbac',
  ({ after }) => sampleSum(after, apiRequests) !== null,
  (all) => {
    const refused = all.filter((pages) => {
      const grows = growthOf(pages, apiRequests, { code: '403' }) > 0;
      const waits = pages.ready !== null && pages.ready.status !== 200 && pages.ready.body.includes('kubernetes');
      return grows || (waits && (sampleSum(pages.after, apiRequests, { code: '403' }) ?? 0) > 0);
    });
    return {
      bad: refused.map(({ address }) => ({
        code: 'coredns-rbac',
        verdict: 'fail',
        seen: `the API server refuses the requests of ${address} (403)`,
        meaning:
          'It needs list and watch on services, endpoints, namespaces and endpointslices; names that change go wrong.',
        command: 'kubectl describe clusterrole system:coredns',
      })),
      fine: 'no request is refused',
    };
  },
);

const busyCores = 0.9;

export const busyCheck: Check = pagesCheck(
  'load of CoreDNS',
  'coredns-busy',
  ({ after, apartSeconds }) => sampleSum(after, cpuSeconds) !== null && apartSeconds > 0,
  (all) => {
    const loads = all.map((pages) => ({
      address: pages.address,
      cores: growthOf(pages, cpuSeconds) / pages.apartSeconds,
      perSecond: Math.round(growthOf(pages, requests) / pages.apartSeconds),
    }));
    const text = ({ address, cores, perSecond }: (typeof loads)[number]): string =>
      `${address} uses ${cores.toFixed(2)} cores at ${perSecond.toLocaleString('en-US')} q/s`;
    return {
      bad: loads
        .filter(({ cores }) => cores >= busyCores)
        .map((load) => ({
          code: 'coredns-busy',
          verdict: 'warn',
          seen: text(load),
          meaning: 'It is near what one processor gives, and answers late or drops questions soon.',
          command: 'kubectl -n kube-system scale deployment coredns --replicas=N',
        })),
      fine: someOf(loads.map(text)),
    };
  },
);

export const stubForwardCheck: Check = pagesCheck(
  'where CoreDNS forwards to',
  'coredns-forwards-to-stub',
  ({ before }) => targetsIn(before).length > 0,
  (all) => {
    const bad = all.flatMap(({ address, before }) => {
      const stubs = targetsIn(before).filter(isOwnStub);
      return stubs.length === 0 ? [] : [stubForward(address, stubs)];
    });
    return { bad, fine: someOf([...new Set(all.flatMap(({ before }) => targetsIn(before)))]) };
  },
);

/** `10.0.0.2:53`, from the labels of what CoreDNS counts by upstream. */
function targetsIn(samples: readonly MetricSample[]): string[] {
  return [
    ...new Set(samples.filter(({ name }) => forwardedOf.includes(name)).flatMap(({ labels }) => labels['to'] ?? [])),
  ];
}

/** On port 53 of its own loopback only CoreDNS itself listens; on others a companion in its pod may. */
function isOwnStub(target: string): boolean {
  const at = splitHostPort(target);
  return at !== undefined && at.port === '53' && (at.host.startsWith('127.') || at.host === '::1');
}

function stubForward(address: string, stubs: readonly string[]): Finding {
  return {
    code: 'coredns-forwards-to-stub',
    verdict: 'fail',
    seen: `CoreDNS at ${address} forwards to ${someOf(stubs)}, which inside its pod is itself`,
    meaning:
      "Its node's resolv.conf lists a stub resolver of the node; names outside the cluster go round and fail. Set resolvConf: " +
      '/run/systemd/resolve/resolv.conf in the KubeletConfiguration of that node, then delete the pod.',
    command: `kubectl get pods -A -o wide | grep ${address}`,
  };
}
