/** Checks of the addresses that pods ask: are they the right ones, on a link of this node, ours alone, and do they answer. */
import { canonicalAddress, formatEndpoint } from '../config/addresses.js';
import { ownQuestion } from '../dns/own-queries.js';
import { doctorAnswerMs, headerBytes } from '../limits.js';
import type { Endpoint } from '../os/network.js';
import type { Check, DoctorOutsides, Finding } from './check.js';
import { fineFinding, isOfEveryHost, otherNetwork, skippedFinding, someOf } from './found.js';
import { kubeProxyOf } from './kube-proxy.js';
import { linksOf, type NodeLink, podLinks } from './links.js';

/** What checks say without the facts. */
export const noFacts = 'the serving process cannot be asked';

/** Of the kind that -localip has for pods: what every host has serves this node only. */
export function podAddresses({ facts }: Pick<DoctorOutsides, 'facts'>): readonly string[] {
  return (facts?.flags.localAddresses ?? []).filter((address) => !isOfEveryHost(address));
}

/** Of the Service kube-dns in this namespace; empty where there is none. */
export function kubeDnsAddress(environment: DoctorOutsides['environment']): string {
  const host = environment['KUBE_DNS_SERVICE_HOST'] ?? '';
  return canonicalAddress(host) ?? host;
}

export const placeholderCheck: Check = {
  about: 'placeholders in the arguments',
  isCheap: true,
  async run({ facts, readFile }) {
    const code = 'placeholder';
    if (facts === null) return [skippedFinding(code, noFacts)];
    const line = (readFile(`/proc/${facts.pid}/cmdline`) ?? '').split('\0');
    const told = [
      facts.clusterDomain ?? '',
      facts.flags.interfaceName,
      ...facts.upstreams.map(({ address }) => address),
    ];
    const isLeft = /__PILLAR__[A-Z_]+|\$\([A-Z_]+\)/u;
    const left = [...line, ...told].find((text) => isLeft.test(text));
    if (left === undefined) return [fineFinding(code, 'every placeholder has been replaced')];
    return [
      {
        code,
        verdict: 'fail',
        seen: `"${left.slice(0, 200)}" still has ${isLeft.exec(left)![0]}`,
        meaning:
          'Nothing replaced the placeholder, so zerohop does not have the address or the domain that it stands for.',
        command: 'kubectl -n kube-system edit daemonset node-local-dns',
      },
    ];
  },
};

export const clusterIpCheck: Check = {
  about: 'the ClusterIP in -localip',
  isCheap: true,
  async run(outsides) {
    const code = 'wrong-cluster-ip';
    const { facts, environment } = outsides;
    if (facts === null) return [skippedFinding(code, noFacts)];
    const service = kubeDnsAddress(environment);
    if (service === '') return [skippedFinding(code, 'KUBE_DNS_SERVICE_HOST is not set here')];
    const links = await linksOf(outsides);
    const elsewhere = links.ok
      ? links.items.filter(({ name }) => !isOursOrProxys(name, facts.flags.interfaceName))
      : [];
    const known = new Set([
      ...Object.entries(environment).flatMap(([name, value]) => (name.endsWith('_SERVICE_HOST') ? [value ?? ''] : [])),
      ...elsewhere.flatMap(({ addresses }) => addresses),
    ]);
    const sameFamily = podAddresses(outsides).filter((address) => address.includes(':') === service.includes(':'));
    const wrong = sameFamily.filter((address) => !known.has(address) && !isOwnByNature(address));
    if (wrong.length === 0) {
      const has = sameFamily.includes(service) ? 'has it' : 'has no ClusterIP';
      return [fineFinding(code, `the Service kube-dns is ${service}, and -localip ${has}`)];
    }
    return [
      {
        code,
        verdict: 'fail',
        seen: `-localip has ${someOf(wrong)}, and the Service kube-dns is ${service}`,
        meaning: `Pods that ask ${service} do not reach this cache, and nobody asks ${someOf(wrong)}.`,
        command: 'kubectl -n kube-system get service kube-dns',
      },
    ];
  },
};

function isOursOrProxys(link: string, ownName: string): boolean {
  return link === ownName || link === 'kube-ipvs0' || link === 'lo';
}

function isOwnByNature(address: string): boolean {
  return /^(?:169\.254\.|fe[89ab][0-9a-f]:|f[cd][0-9a-f]{2}:)/iu.test(address);
}

export const localAddressCheck: Check = {
  about: 'the addresses of -localip on a link',
  isCheap: true,
  async run(outsides) {
    const code = 'local-address';
    const addresses = podAddresses(outsides);
    const away = otherNetwork(outsides);
    if (outsides.facts === null) return [skippedFinding(code, noFacts)];
    if (away !== null) return [skippedFinding(code, away)];
    if (addresses.length === 0) return [skippedFinding(code, '-localip has only addresses that every host has')];
    const links = await linksOf(outsides);
    if (!links.ok) return [skippedFinding(code, links.why)];
    const { setupInterface, interfaceName } = outsides.facts.flags;
    const places = addresses.map((address) => ({
      address,
      on: links.items.filter((link) => link.addresses.includes(address)),
    }));
    const missing = places.filter(({ on }) => on.length === 0).map(({ address }) => address);
    if (missing.length > 0) return [missingAddress(missing, setupInterface, interfaceName)];
    // That link is always down; the check of kube-proxy's mode speaks of it.
    const down = places.find(({ on }) => on.every(({ isUp, name }) => !isUp && name !== 'kube-ipvs0'));
    if (down !== undefined) return [addressOnDownLink(down.address, down.on[0].name)];
    return [fineFinding(code, places.map(({ address, on }) => `${address} is on ${namesOf(on)}`).join(', '))];
  },
};

function namesOf(links: readonly NodeLink[]): string {
  return links.map(({ name }) => name).join(' and ');
}

function missingAddress(missing: readonly string[], setupInterface: boolean, interfaceName: string): Finding {
  const [first] = missing;
  return {
    code: 'local-address',
    verdict: 'fail',
    seen: `${someOf(missing)} is on no link of this node`,
    meaning: setupInterface
      ? `Packets of pods to it go elsewhere; zerohop should have put it on ${interfaceName}, and its log says why it could not.`
      : 'Packets of pods to it go elsewhere; with -setupinterface=false another program must put it on a link.',
    command: setupInterface
      ? 'kubectl -n kube-system logs -l k8s-app=node-local-dns --tail=100'
      : `ip address add ${first}/${first.includes(':') ? 128 : 32} dev ${interfaceName}`,
  };
}

function addressOnDownLink(address: string, link: string): Finding {
  return {
    code: 'local-address',
    verdict: 'fail',
    seen: `${address} is on ${link}, which is DOWN`,
    meaning: 'The kernel takes no packets for an address of a link that is down.',
    command: `ip link set ${link} up`,
  };
}

/** Asks the listeners as the self-check does, so that neither cache nor cluster DNS matters. */
export const listenersCheck: Check = {
  about: 'the listeners',
  isCheap: false,
  async run(outsides) {
    const code = 'listener-silent';
    const { facts } = outsides;
    if (facts === null) return [skippedFinding(code, noFacts)];
    const away = otherNetwork(outsides);
    if (away !== null) return [skippedFinding(code, away)];
    const places = podAddresses(outsides).map((address) => ({ address, port: facts.flags.dnsPort }));
    if (places.length === 0) return [skippedFinding(code, '-localip has only addresses that every host has')];
    const asked = await Promise.all(
      places.flatMap((at) => [
        answersStatus(outsides, at, 'UDP').then((is) => (is ? [] : [`${formatEndpoint(at)} over UDP`])),
        answersStatus(outsides, at, 'TCP').then((is) => (is ? [] : [`${formatEndpoint(at)} over TCP`])),
      ]),
    );
    const silent = asked.flat();
    if (silent.length === 0)
      return [
        fineFinding(
          code,
          `${places.map(formatEndpoint).join(', ')} ${places.length === 1 ? 'answers' : 'answer'} over UDP and TCP`,
        ),
      ];
    return [
      {
        code,
        verdict: 'fail',
        seen: `${someOf(silent)} gave no answer within ${doctorAnswerMs} ms`,
        meaning:
          'Pods that ask there get no answer: a firewall drops the packets, another program has the address, or zerohop hangs.',
        command: `ss -lnup sport = :${facts.flags.dnsPort}`,
      },
    ];
  },
};

/** Whether a STATUS query (RFC 1035 4.1.1), which needs no name, gets an answer. */
export function answersStatus(
  { network, clock, random }: Pick<DoctorOutsides, 'network' | 'clock' | 'random'>,
  at: Endpoint,
  over: 'UDP' | 'TCP',
): Promise<boolean> {
  const query = ownQuestion(random.below(0x1_0000), 0);
  const isAnswer = (bytes: Uint8Array): boolean =>
    bytes.length >= headerBytes && bytes[0] === query[0] && bytes[1] === query[1] && (bytes[2] & 0x80) !== 0;
  return new Promise((resolve) => {
    const timer = clock.after(doctorAnswerMs, () => done(false));
    const close = over === 'UDP' ? askOverUdp() : askOverTcp();

    function done(is: boolean): void {
      timer.stop();
      close();
      resolve(is);
    }

    function askOverUdp(): () => void {
      const socket = network.connectDatagrams(at, {
        datagram: (bytes) => isAnswer(bytes) && done(true),
        // A closed port is silence at the time limit.
        error: () => undefined,
      });
      socket.send(query, at);
      return () => socket.close();
    }

    function askOverTcp(): () => void {
      let heard = Buffer.alloc(0);
      const stream = network.connectStream(at, {
        opened: () => stream.write(Uint8Array.of(0, query.length, ...query)),
        data(bytes) {
          heard = Buffer.concat([heard, bytes.subarray(0, 2 + headerBytes)]);
          if (isAnswer(heard.subarray(2))) done(true);
        },
        ended: () => undefined,
        closed: () => undefined,
      });
      return () => stream.destroy();
    }
  });
}

export const modeCheck: Check = {
  about: "kube-proxy's mode and -localip",
  isCheap: true,
  async run(outsides) {
    const codes = ['mode', 'iptables-unused'];
    const { facts, environment } = outsides;
    if (facts === null) return codes.map((code) => skippedFinding(code, noFacts));
    const away = otherNetwork(outsides);
    if (away !== null) return codes.map((code) => skippedFinding(code, away));
    const { mode, how } = await kubeProxyOf(outsides);
    if (mode === null) return codes.map((code) => skippedFinding(code, how));
    const said = `kube-proxy is in ${mode} mode, ${how}`;
    const addresses = podAddresses(outsides);
    const links = await linksOf(outsides);
    const ofProxy = links.ok && mode === 'ipvs' ? links.items.filter(({ name }) => name === 'kube-ipvs0') : [];
    const proxys = ofProxy.flatMap((link) => link.addresses);
    const twice = addresses.filter((address) => proxys.includes(address));
    const first = twice.length > 0 ? twoOwners(twice) : fineFinding('mode', said);
    const service = kubeDnsAddress(environment);
    const isQuiet = facts.recent.queries === 0 && facts.recent.seconds >= quietSecondsLeast;
    const isUnused = isQuiet && facts.role === 'serving' && links.ok && podLinks(links.items).length > 0;
    const second =
      mode === 'iptables' && service !== '' && !addresses.includes(service) && isUnused
        ? unusedIptables(service, addresses)
        : fineFinding('iptables-unused', said);
    return [first, second];
  },
};

/** So long without a query says something. */
export const quietSecondsLeast = 600;

function twoOwners(twice: readonly string[]): Finding {
  return {
    code: 'mode',
    verdict: 'fail',
    seen: `kube-proxy is in IPVS mode, and kube-ipvs0 has ${someOf(twice)} too`,
    meaning: 'Two owners of one address: which of them gets a packet is left to chance.',
    command: `kubectl -n kube-system edit daemonset node-local-dns  # take ${twice.join(',')} out of -localip, and set clusterDNS of kubelet to 169.254.20.10`,
  };
}

function unusedIptables(service: string, addresses: readonly string[]): Finding {
  return {
    code: 'iptables-unused',
    verdict: 'warn',
    seen: `kube-proxy is in iptables mode, -localip is ${addresses.join(',')} without ${service}, and no query comes`,
    meaning: `With ${service} in -localip the queries of all pods come here, and no kubelet needs a change.`,
    command: `kubectl -n kube-system edit daemonset node-local-dns  # -localip=${[...addresses, service].join(',')}`,
  };
}
