/**
 * Shows, from an ordinary pod, whether pods resolve names through zerohop: resolves a name, then asks for it 20 times
 * as CNAME, a type that clients hardly ask for, and compares what the metrics of this node's zerohop count. Exit status:
 * 0 if zerohop has answered all of them, else 1, with a sentence that says what to look at.
 *
 * Environment: HOST_IP, the node's address; METRICS_PORT (9253); METRICS_SERVICE, the Service that lists zerohop's pods;
 * SERVERS, the cache's addresses, to ask them instead of the pod's own name servers; PATIENCE_MS (60000), how long it
 * tries again.
 */
import { promises as dns } from 'node:dns';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

const questions = 20;
/** A pod of zerohop may have just been made. */
const patienceMs = 60_000;
const pauseMs = 3000;
/** zerohop renders /metrics at most once a second. */
const metricsAgeMs = 1100;
const { HOST_IP: hostIp = '127.0.0.1', METRICS_PORT: port = '9253', SERVERS: given } = process.env;
const { METRICS_SERVICE: service = 'node-local-dns.kube-system' } = process.env;

for (const deadlineMs = Date.now() + Number(process.env.PATIENCE_MS ?? patienceMs); ; ) {
  try {
    console.log(`ok: ${await verify()}`);
    break;
  } catch (error) {
    if (Date.now() >= deadlineMs) {
      console.log(`FAILED: ${error.message}`);
      process.exitCode = 1;
      break;
    }
    await pause(pauseMs);
  }
}

async function verify() {
  const domain = clusterDomain(readFileSync('/etc/resolv.conf', 'utf8'));
  const name = `kubernetes.default.svc.${domain}`;
  const resolver = new dns.Resolver({ timeout: 2000, tries: 2 });
  const own = resolver.getServers();
  if (given) resolver.setServers(given.split(','));
  const servers = resolver.getServers().join(', ');
  const addresses = await resolver.resolve4(name).catch((error) => {
    throw new Error(`${servers} gave no address for ${name} (${error.code}). Is a zerohop pod ready on this node?`);
  });
  const pages = await metricsPages(resolver, domain);
  const before = await countOfCname(pages);
  for (let asked = 0; asked < questions; asked++) await resolver.resolveCname(name).catch(() => undefined);
  await pause(metricsAgeMs);
  const counted = (await countOfCname(pages)) - before;
  const result = `zerohop on node ${hostIp} answered ${Math.min(counted, questions)} of ${questions} queries of this pod`;
  const remedy = 'In modes ipvs and nftables kubelet must have its address as clusterDNS; pods that start afterwards ask it.';
  if (counted < questions) throw new Error(`${result}, which asks ${servers}. ${remedy}`);
  if (!resolver.getServers().some((server) => own.includes(server))) {
    console.log(`Pods do not ask zerohop yet, but ${own.join(', ')}. ${remedy}`);
  }
  return `${result}; ${name} is ${addresses.join(', ')}`;
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
    const pods = await resolver.resolve4(`${service}.svc.${domain}`).catch(() => []);
    if (pods.length === 0) throw error;
    return pods.map(pageOf);
  }
}

/** The CNAME queries that zerohop has counted, in all zones. */
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
    const text = await response.text();
    if (!text.includes('\nzerohop_')) throw new Error(`${url} is not zerohop's: another cache serves on this node.`);
    return text;
  } catch (error) {
    const { code } = error.cause ?? {};
    throw code === undefined ? error : new Error(`${url} does not answer (${code}). Is a zerohop pod ready on this node?`);
  }
}
