/**
 * Checks of what the kernel counts, by two readings some seconds apart: the conntrack table, our receive queues, the queues
 * of the processors. A count that rose long ago is history, so only a rise is a finding.
 */
import { doctorCountersApartMs, socketRowsBytesMax } from '../limits.js';
import type { Check, DoctorOutsides, Finding } from './check.js';
import { fineFinding, howMany, otherNetwork, pause, percent, readTextOf, skippedFinding } from './found.js';
import { parseConntrackStat, parseSocketRows, parseSoftnetDrops, snmpUdp, soleNumber } from './kernel-tables.js';

interface CountersReading {
  /** Undefined without conntrack. */
  readonly conntrack: ReadonlyMap<string, number> | undefined;
  readonly entries: number | undefined;
  readonly entriesMax: number | undefined;
  readonly softnetDrops: number | undefined;
  /** Of the sockets on our port; undefined when no such socket is here. */
  readonly queueDrops: number | undefined;
  readonly receiveErrors: number | undefined;
}

export const countersCheck: Check = {
  about: 'what the kernel counts',
  isCheap: true,
  async run(outsides) {
    const away = otherNetwork(outsides);
    if (away !== null) return counterCodes.map((code) => skippedFinding(code, away));
    const before = await readCounters(outsides);
    await pause(outsides.clock, doctorCountersApartMs);
    const after = await readCounters(outsides);
    return [
      conntrackFull(before, after),
      insertFailed(before, after),
      queueDrops(before, after),
      softnet(before, after),
    ];
  },
};

const counterCodes = ['conntrack-full', 'insert-failed', 'queue-full', 'softnet-drops'] as const;
const apart = `${doctorCountersApartMs / 1000} s`;

async function readCounters(outsides: DoctorOutsides): Promise<CountersReading> {
  const { readFile, facts } = outsides;
  const stat = readFile('/proc/net/stat/nf_conntrack');
  const softnetText = readFile('/proc/net/softnet_stat');
  const tables = await Promise.all(
    ['udp', 'udp6'].map((name) => readTextOf(outsides, `/proc/net/${name}`, socketRowsBytesMax)),
  );
  const rows = tables.flatMap((text) => parseSocketRows(text ?? ''));
  const ours = rows.filter(({ address, port }) => {
    const isOurs = facts?.flags.localAddresses.includes(address) === true || address === '0.0.0.0' || address === '::';
    return isOurs && port === facts?.flags.dnsPort;
  });
  return {
    conntrack: stat === undefined ? undefined : parseConntrackStat(stat),
    entries: soleNumber(readFile('/proc/sys/net/netfilter/nf_conntrack_count')),
    entriesMax: soleNumber(readFile('/proc/sys/net/netfilter/nf_conntrack_max')),
    softnetDrops: softnetText === undefined ? undefined : parseSoftnetDrops(softnetText),
    queueDrops: ours.length === 0 ? undefined : ours.reduce((sum, { drops }) => sum + drops, 0),
    receiveErrors: snmpUdp(readFile('/proc/net/snmp') ?? '', 'RcvbufErrors'),
  };
}

/** By how much a counter rose; a smaller one has begun anew, and has risen by nothing that is known. */
function rise(before: number | undefined, after: number | undefined): number {
  return before === undefined || after === undefined ? 0 : Math.max(0, after - before);
}

function conntrackRise(name: string, before: CountersReading, after: CountersReading): number {
  return rise(before.conntrack?.get(name), after.conntrack?.get(name));
}

/** Above this share, a burst of a second fills the rest. */
const nearlyFullShare = 0.9;

function conntrackFull(before: CountersReading, after: CountersReading): Finding {
  const code = 'conntrack-full';
  const { entries, entriesMax } = after;
  if (entries === undefined || entriesMax === undefined || entriesMax === 0) {
    return skippedFinding(code, 'this kernel tracks no connections');
  }
  const dropped = conntrackRise('drop', before, after) + conntrackRise('early_drop', before, after);
  const size = `${entries.toLocaleString('en-US')} of ${howMany(entriesMax, 'conntrack entry', 'conntrack entries')}`;
  const isFull = entries >= nearlyFullShare * entriesMax;
  if (!isFull) return fineFinding(code, `${size} (${percent(entries, entriesMax)})`);
  const lost = dropped > 0 ? `; ${howMany(dropped, 'flow')} dropped in ${apart}` : '';
  return {
    code,
    verdict: dropped > 0 || entries >= entriesMax ? 'fail' : 'warn',
    seen: `${size} are taken${lost}`,
    meaning:
      'With a full table the kernel drops the first packet of each new connection, DNS to the cluster DNS included.',
    command: `sysctl net.netfilter.nf_conntrack_max=${2 * entriesMax}`,
  };
}

/** One in a while happens wherever source ports are translated; so many in five seconds do not. */
const insertFailuresMany = 5;

function insertFailed(before: CountersReading, after: CountersReading): Finding {
  const code = 'insert-failed';
  if (after.conntrack === undefined) return skippedFinding(code, 'this kernel tracks no connections');
  const failed = conntrackRise('insert_failed', before, after);
  const said = `insert_failed of conntrack rose by ${failed} in ${apart}`;
  if (failed < insertFailuresMany) return fineFinding(code, said);
  return {
    code,
    verdict: 'warn',
    seen: said,
    meaning:
      'Packets were dropped because two of one socket raced for a place in the conntrack table, as A and AAAA queries to a ' +
      'ClusterIP do; a pod that asks there waits five seconds. Queries to this cache are not tracked.',
    command: 'conntrack -S',
  };
}

function queueDrops(before: CountersReading, after: CountersReading): Finding {
  const code = 'queue-full';
  if (after.queueDrops === undefined) return skippedFinding(code, 'no UDP socket of zerohop is listed here');
  const lost = rise(before.queueDrops, after.queueDrops);
  const ofAll = rise(before.receiveErrors, after.receiveErrors);
  if (lost === 0)
    return fineFinding(code, `no query found a full receive queue in ${apart} (node: ${howMany(ofAll, 'datagram')})`);
  return {
    code,
    verdict: 'warn',
    seen: `${howMany(lost, 'query', 'queries')} found the receive queues of zerohop full in ${apart}`,
    meaning: 'More queries come than the workers take, or the workers get no processor; clients repeat after seconds.',
    command: 'kubectl -n kube-system edit daemonset node-local-dns  # -workers=auto',
  };
}

function softnet(before: CountersReading, after: CountersReading): Finding {
  const code = 'softnet-drops';
  if (after.softnetDrops === undefined) return skippedFinding(code, '/proc/net/softnet_stat cannot be read');
  const lost = rise(before.softnetDrops, after.softnetDrops);
  if (lost === 0) return fineFinding(code, `no packet was dropped at the queues of the processors in ${apart}`);
  return {
    code,
    verdict: 'warn',
    seen: `${howMany(lost, 'packet')} found the queue of their processor full in ${apart}`,
    meaning: 'The node drops packets of all kinds before any program or rule sees them.',
    command: 'sysctl net.core.netdev_max_backlog=10000',
  };
}
