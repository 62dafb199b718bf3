/**
 * Shows, from an ordinary pod, whether pods resolve names through zerohop: resolves a name, then asks for it 20 times
 * as CNAME, a type that clients hardly ask for, and compares what the metrics of this node's zerohop count. Exit status:
 * 0 if zerohop has answered all of them, else 1, with a sentence that says what to look at.
 *
 * Environment: HOST_IP, the node's address; METRICS_PORT (9253); SERVERS, name servers to ask instead of the pod's own.
 */
import { promises as dns } from 'node:dns';
import { readFileSync } from 'node:fs';

const questions = 20;
/** zerohop renders /metrics at most once a second. */
const metricsAgeMs = 1100;
const { HOST_IP: hostIp = '127.0.0.1', METRICS_PORT: port = '9253', SERVERS: given } = process.env;

try {
  console.log(`ok: ${await verify()}`);
} catch (error) {
  console.log(`FAILED: ${error.message}`);
  process.exitCode = 1;
}

async function verify() {
  const domain = clusterDomain(readFileSync('/etc/resolv.conf', 'utf8'));
  const name = `kubernetes.default.svc.${domain}`;
  const resolver = new dns.Resolver({ timeout: 2000, tries: 2 });
  if (given) resolver.setServers(given.split(','));
  const servers = resolver.getServers().join(', ');
  const addresses = await resolver.resolve4(name).catch((error) => {
    throw new Error(`${servers} gave no address for ${name} (${error.code}). Is a zerohop pod ready on this node?`);
  });
  console.log(`${name} is ${addresses.join(', ')}, says ${servers}`);
  const pages = await metricsPages(resolver, domain);
  const before = await countOfCname(pages);
  for (let asked = 0; asked < questions; asked++) await resolver.resolveCname(name).catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, metricsAgeMs));
  const counted = (await countOfCname(pages)) - before;
  if (counted >= questions) return `zerohop on node ${hostIp} answered ${questions} of ${questions} queries of this pod`;
  throw new Error(
    `zerohop on node ${hostIp} answered ${counted} of ${questions} queries of this pod, which asks ${servers}. ` +
      'In modes ipvs and nftables, kubelet must have clusterDNS 169.254.20.10, and only pods that start afterwards use it.',
  );
}

/** DOMAIN of the search path's svc.DOMAIN, which kubelet writes into every pod that asks the cluster DNS. */
function clusterDomain(resolvConf) {
  const [, domain] = /^search.*\ssvc\.(\S+)/m.exec(resolvConf) ?? [];
  return domain ?? 'cluster.local';
}

/** The addresses of /metrics: the node's, or, where pods of zerohop have a network of their own, those of all pods. */
async function metricsPages(resolver, domain) {
  const pageOf = (host) => `http://${host.includes(':') ? `[${host}]` : host}:${port}/metrics`;
  try {
    await textOf(pageOf(hostIp));
    return [pageOf(hostIp)];
  } catch (error) {
    const pods = await resolver.resolve4(`node-local-dns.kube-system.svc.${domain}`).catch(() => []);
    if (pods.length === 0) throw error;
    return pods.map(pageOf);
  }
}

/** The MX queries for names of the cluster that zerohop has counted. */
async function countOfCname(pages) {
  const texts = await Promise.all(pages.map(textOf));
  return texts
    .flatMap((text) => text.split('\n'))
    .filter((line) => line.startsWith('coredns_dns_requests_total{') && line.includes('type="CNAME"'))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

async function textOf(url) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5000) });
    return await response.text();
  } catch (error) {
    throw new Error(`${url} does not answer (${error.cause?.code ?? error.name}). Is a zerohop pod ready on this node?`);
  }
}
