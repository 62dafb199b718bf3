/**
 * What the kernel lane's program and user space share: the layouts of its maps, in bytes. Numbers are in this machine's
 * order, which is little-endian, except what goes into a packet as it is.
 *
 *   slot: | stored expires staleUntil | generation | question | sizes | flags counts | TTL places | records name |
 */
import { laneSlots } from '../limits.js';

/** Changes with the meaning of any byte in this file; the name of the folder in which maps are pinned. */
export const layoutVersion = 'layout-2';

/** An answer as it is given; not changed from its publication until a second after it was taken out. */
export const slotLayout = {
  /** Nanoseconds of CLOCK_MONOTONIC. */
  stored: 0,
  expires: 8,
  /** Until then it is given though expired, while nobody is there to ask upstream; 0: never. */
  staleUntil: 16,
  /** Of the configuration it was published under. */
  generation: 24,
  /** Type and class as in a packet. */
  typeAndClass: 32,
  /** The bytes of the name, with the root's. */
  nameBytes: 36,
  /** DO is 1, CD is 2; in the byte behind, the listener's place in `config`. */
  key: 38,
  place: 39,
  /** From the slot's first byte, a multiple of 8. The name is in lower case, and zeros fill it to a multiple of 8. */
  nameAt: 40,
  recordsBytes: 42,
  /** The size in our OPT, and the most that a client over UDP gets. */
  udpBytes: 44,
  /** How many TTLs count down. */
  ttls: 46,
  /** Of the answer's flags word, as in a packet: always set, set for clients that want AD, copied from the query. */
  flags: 48,
  flagsAuthentic: 50,
  flagsCopied: 52,
  /** As in a packet, without the OPT. */
  answers: 54,
  authorities: 56,
  /** In this machine's order. */
  additionals: 58,
  /** The TTL of its records when it is given though expired. */
  staleTtl: 60,
  /** From the first record's first byte. */
  ttlPlaces: 64,
  records: 96,
} as const;

/** TTLs in a published answer. */
export const slotTtlsMax = 16;
export const laneSlotBytes = 512;
export const slotRecordsBytesMax = laneSlotBytes - slotLayout.records;

export const configLayout = {
  /** Nanoseconds of CLOCK_MONOTONIC, written five times a second by user space; 0: the program answers nothing. */
  heartbeat: 0,
  /** Without a heartbeat for so long, nobody is there. */
  deadAfter: 8,
  /** From then on the program answers nothing, so one that a process has left behind ends. */
  inertFrom: 16,
  seed: 24,
  generation: 32,
  /** Of what the answers depend on besides the layout: a successor with the same digest may go on with them. */
  digest: 40,
  /** Where packets for us go: 16 bytes of address, an IPv4 one mapped, and the port, as in a packet. Port 0: no place. */
  places: 64,
  placeBytes: 24,
  placePort: 16,
  bytes: 64 + 24 * 8,
} as const;

/**
 * For each slot: its answers, of each variant apart, and how many of them user space has counted. Both are 32-bit words
 * that begin again at 0. One cache line a slot, which processors that answer the same question share.
 */
export const markLayout = { answers: 0, counted: 32, bytes: 64 } as const;
/** The bits of a variant. */
export const variantBits = { hasOpt: 1, isIpv6: 2, isStale: 4 } as const;
export const variantsCount = 8;

/** Slots with equal lower bits of the hash; each is a place in `slots` plus 1 and, above it, the hash's upper half. */
export const waysPerBucket = 4;
export const bucketBytes = 8 * waysPerBucket;
export const bucketsCount = laneSlots;

/**
 * Who may be answered. The key is the interface and the address, an IPv4 one mapped. The value, in nanoseconds of
 * CLOCK_MONOTONIC: until when, and when a packet was last sent up for it to be noted again.
 */
export const clientLayout = {
  interfaceIndex: 0,
  address: 4,
  keyBytes: 20,
  until: 0,
  renewedAt: 8,
  valueBytes: 16,
} as const;

/** The packet's name on its way through the program, later the datagram whose checksum is made. */
export const scratchBytes = 736;

/** Why a packet for us went its usual way: places of `passed`. */
export const laneCauses = ['shape', 'missed', 'expired', 'stranger', 'large', 'failed'] as const;
export type LaneCause = (typeof laneCauses)[number];
