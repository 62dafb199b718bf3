/** A context over an empty cache and a table of zones, for the tests of the spine. */
import packets from 'dns-packet';
import { Blocks, cacheMemory } from '../../src/cache/blocks.js';
import { Cache, type Store } from '../../src/cache/cache.js';
import { parseConfig } from '../../src/config/load.js';
import { Counters, countersMemory, overUdp } from '../../src/counters.js';
import { newSlot } from '../../src/dns/answer.js';
import { nameToWire } from '../../src/dns/names.js';
import { plugins } from '../../src/plugins/registry.js';
import { answerNow } from '../../src/resolve/fast-path.js';
import { WorkerContext } from '../../src/resolve/worker-context.js';
import { Numbering, type PlannedListener, planZones } from '../../src/resolve/zone-plan.js';
import type { ServedZone } from '../../src/resolve/zones.js';
import { hashKey } from '../dns/hash-key.js';

export const loadOptions = {
  defaultPort: 53,
  plugins,
  environment: {},
  files: { read: () => '', readBytes: () => Buffer.alloc(0), exists: () => false, list: () => [] },
  interfaceAddresses: () => undefined,
};

/** dns-packet's types leave out what it decodes of the flags. */
export type Decoded = packets.DecodedPacket & { readonly rcode: string };

export interface Fixture {
  readonly context: WorkerContext;
  readonly cache: Cache;
  readonly store: Store;
  readonly listener: PlannedListener;
  zone(name: string): ServedZone;
  /** The answer as bytes, `null` for a drop, or `handed over`. */
  ask(packet: Uint8Array, nowMs?: number): Buffer | null | 'handed over';
  /** The answer decoded. */
  answer(packet: Uint8Array, nowMs?: number): Decoded;
}

/** The zones of the first listener of this Corefile, as the main thread answers for them, or another thread. */
export function fixture(corefile: string, role: WorkerContext['role'] = 'main'): Fixture {
  const config = parseConfig(corefile, 'Corefile', loadOptions);
  const numberings = { cache: new Numbering(), counters: new Numbering() };
  const [listener] = planZones(config, numberings);
  const cache = new Cache(new Blocks(cacheMemory(), hashKey(7)));
  const counters = new Counters(countersMemory(numberings.counters.size));
  const context = new WorkerContext(cache.blocks, newSlot(70_000), counters, role);
  const ask: Fixture['ask'] = (packet, nowMs = 0) => {
    const bytes = answerNow(context, listener.table, packet, packet.length, nowMs);
    if (bytes < 0) return 'handed over';
    return bytes === 0 ? null : Buffer.from(context.slot.bytes.slice(0, bytes));
  };
  return {
    context,
    cache,
    store: cache.newStore({ successEntriesMax: 100, denialEntriesMax: 100 }),
    listener,
    zone(name) {
      const wanted = Buffer.from(nameToWire(name));
      return listener.zones.find(({ wire }) => wanted.equals(wire))!;
    },
    ask,
    answer: (packet, nowMs) => packets.decode(ask(packet, nowMs) as Buffer) as Decoded,
  };
}

/** A query packet; `edns` adds an OPT. */
export function query(
  name: string,
  type: string,
  edns?: { readonly udpBytes?: number; readonly dnssecOk?: boolean },
): Buffer {
  const opt = {
    type: 'OPT',
    name: '.',
    udpPayloadSize: edns?.udpBytes ?? 1232,
    flags: edns?.dnssecOk ? 0x8000 : 0,
    options: [],
  };
  return packets.encode({
    type: 'query',
    id: 0x1234,
    flags: packets.RECURSION_DESIRED,
    questions: [{ name, type: type as packets.RecordType, class: 'IN' }],
    ...(edns === undefined ? {} : { additionals: [opt as unknown as packets.Answer] }),
  });
}

/** A pod that asks over UDP and keeps no answers. */
export const podClient = {
  transport: overUdp,
  remote: { address: '10.244.0.7', port: 4000 },
  local: { address: '169.254.20.10', port: 53 },
  reply() {},
} as const;
