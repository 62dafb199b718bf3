/** The pages of CoreDNS 1.11 and of kube-proxy as far as the doctor reads them, with the numbers of a healthy one unless a test says otherwise. */
import type { Pages } from './pages-program.js';

export interface CoreDnsNumbers {
  readonly startedSecondsAgo?: number;
  readonly requestsPerSecond?: number;
  readonly servfailPerSecond?: number;
  readonly cores?: number;
  /** Refusals of the API server. */
  readonly forbiddenPerSecond?: number;
  readonly panicsPerSecond?: number;
  readonly forwardsTo?: string;
  /** What /ready says beside its status. */
  readonly ready?: { readonly status: number; readonly text: string };
}

export function coreDnsPages(numbers: CoreDnsNumbers = {}): Pages {
  const { startedSecondsAgo = 3_200_000, requestsPerSecond = 40, servfailPerSecond = 0, cores = 0.03 } = numbers;
  const { forbiddenPerSecond = 0, panicsPerSecond = 0, forwardsTo = '192.168.50.53:53' } = numbers;
  const started = Math.round(Date.now() / 1000) - startedSecondsAgo;
  const answered = (plugin: string, rcode: string, count: string): string =>
    `coredns_dns_responses_total{plugin="${plugin}",rcode="${rcode}",server="dns://:53",view="",zone="."} ${count}`;
  const asked = (code: string, count: string): string =>
    `coredns_kubernetes_rest_client_requests_total{code="${code}",host="10.96.0.1:443",method="GET"} ${count}`;
  const metrics = `# HELP coredns_build_info A metric with a constant '1' value labeled by version, revision, and goversion from which CoreDNS was built.
# TYPE coredns_build_info gauge
coredns_build_info{goversion="go1.21.11",revision="a6338e9",version="1.11.3"} 1
# HELP coredns_dns_requests_total Counter of DNS requests made per zone, protocol and family.
# TYPE coredns_dns_requests_total counter
coredns_dns_requests_total{family="1",proto="tcp",server="dns://:53",type="A",view="",zone="."} {90000+${requestsPerSecond}}
coredns_dns_requests_total{family="1",proto="udp",server="dns://:53",type="AAAA",view="",zone="."} {4000+0}
# HELP coredns_dns_responses_total Counter of response status codes.
# TYPE coredns_dns_responses_total counter
${answered('kubernetes', 'NOERROR', `{60000+${Math.max(0, requestsPerSecond - servfailPerSecond)}}`)}
${answered('kubernetes', 'NXDOMAIN', '30000')}
${answered('forward', 'SERVFAIL', `{12+${servfailPerSecond}}`)}
# HELP coredns_forward_healthcheck_broken_total Counter of the number of complete failures of the healthchecks.
# TYPE coredns_forward_healthcheck_broken_total counter
coredns_forward_healthcheck_broken_total {0+${servfailPerSecond}}
# HELP coredns_kubernetes_rest_client_requests_total Number of HTTP requests, partitioned by status code, method, and host.
# TYPE coredns_kubernetes_rest_client_requests_total counter
${asked('200', '{5000+1}')}
${forbiddenPerSecond > 0 ? `${asked('403', `{70+${forbiddenPerSecond}}`)}\n` : ''}# HELP coredns_panics_total A metrics that counts the number of panics.
# TYPE coredns_panics_total counter
coredns_panics_total {0+${panicsPerSecond}}
# HELP coredns_proxy_request_duration_seconds Histogram of the time each request took.
# TYPE coredns_proxy_request_duration_seconds histogram
coredns_proxy_request_duration_seconds_bucket{proxy_name="forward",rcode="NOERROR",to="${forwardsTo}",le="+Inf"} 800
coredns_proxy_request_duration_seconds_sum{proxy_name="forward",rcode="NOERROR",to="${forwardsTo}"} 3.2
coredns_proxy_request_duration_seconds_count{proxy_name="forward",rcode="NOERROR",to="${forwardsTo}"} 800
# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total {1000+${cores}}
# HELP process_start_time_seconds Start time of the process since unix epoch in seconds.
# TYPE process_start_time_seconds gauge
process_start_time_seconds ${started}.31
`;
  return {
    '/metrics': { status: 200, text: metrics },
    '/health': { status: 200, text: 'OK' },
    '/ready': numbers.ready ?? { status: 200, text: 'OK' },
  };
}

export function kubeProxyPages(mode: 'iptables' | 'nftables' | 'ipvs'): Pages {
  const build = 'build_date="2024-12-11T17:59:15Z",compiler="gc",git_commit="a78aa47129b8539636eb86a9d00e31b2720fe06b"';
  const version = mode === 'nftables' ? 'v1.31.4' : 'v1.28.15';
  const text = `# HELP kubernetes_build_info [ALPHA] A metric with a constant '1' value labeled by version.
# TYPE kubernetes_build_info gauge
kubernetes_build_info{${build},git_tree_state="clean",git_version="${version}",go_version="go1.22.9",major="1",minor="28",platform="linux/amd64"} 1
`;
  return { '/proxyMode': { status: 200, text: mode }, '/metrics': { status: 200, text } };
}
