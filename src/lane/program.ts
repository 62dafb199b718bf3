/**
 * The program that answers in the kernel: it runs for every packet that an interface receives, before the firewall and
 * in the sender's own time slice. A packet for us that asks exactly what a slot answers is turned into the answer where
 * it lies and sent back; every other one goes its usual way.
 *
 *   ours? ─> shape ─> name, hash ─> slot ─> same question? ─> client known? ─> fresh? ─> fits? ─> answer, send back
 *     └────────┴──────────┴───────────┴────────────┴───────────────┴─────────────┴────────┴─────> the usual way
 *
 * It touches packets only through helpers and keeps its header on the stack, so the verifier needs no proof about the
 * packet's memory, and the program no CAP_PERFMON.
 */
import { lanePlacesMax } from '../limits.js';
import { isSomebodyThere, isTheClientKnown, passCopies, unlessNobodyIsThere } from './admission.js';
import { type Assembled, Assembler } from './assembler.js';
import {
  bucketsCount,
  clientLayout,
  configLayout,
  laneCauses,
  laneSlotBytes,
  slotLayout,
  slotRecordsBytesMax,
  waysPerBucket,
} from './layout.js';
import { answerPacket, type SendsBack } from './reply.js';
import {
  configuration,
  dns,
  dnsHeaderBytes,
  extendedErrorBytes,
  frame,
  helpers,
  inRegister,
  ip,
  ipv4Bytes,
  type LaneMap,
  type LaneText,
  leaveIf,
  loadSaved,
  lookUpMap,
  optHeadBytes,
  packetRegister,
  placeInPacket,
  r0,
  r1,
  r2,
  r3,
  r4,
  r5,
  raw,
  readPacket,
  roaming,
  save,
  setToSum,
  slotRegister,
  stack,
  udp,
  udpBehindIpv4,
  udpBehindIpv6,
  udpHeaderBytes,
  viewOfPacket,
} from './text.js';

/** What the program tells the kernel of a packet: the next program, or the stack, decides; or it is dropped. */
const verdictNext = -1;
const verdictDrop = 2;

const protocolUdp = 17;
const questionTailBytes = 4;
const longestName = 255;
const plainUdpBytes = 512;

/** The golden ratio times 2^64. */
export const laneHashFactor = 0x9e37_79b9_7f4a_7c15n;
export const laneHashShift = 29;

const everyByte = (byte: number): bigint => BigInt(byte) * 0x0101_0101_0101_0101n;

/** The program, for maps with these descriptors. */
export function laneProgram(sendsBack: SendsBack, descriptorOf: (map: LaneMap) => number): Assembled {
  const text: LaneText = new Assembler<LaneMap>();
  isItOurs(text);
  hasItTheShape(text);
  takeOpt(text);
  takeName(text);
  hashName(text);
  findSlot(text);
  isItTheSameQuestion(text);
  isTheClientKnown(text);
  isItFresh(text);
  doesItFit(text);
  answerPacket(text, sendsBack);
  isSomebodyThere(text);
  endings(text);
  return text.assembled(descriptorOf);
}

/** Ethernet without a VLAN tag, IP without options, UDP, to one of our addresses; and somebody wants it answered. */
function isItOurs(text: LaneText): void {
  text.do('set', packetRegister, inRegister(r1));
  passCopies(text);
  text.load(r2, 4, packetRegister, viewOfPacket.vlanPresent);
  text.if(r2, 'notEqual', 0, 'not ours');
  text.load(r2, 4, packetRegister, viewOfPacket.protocol);
  text.if(r2, 'equal', raw.etherIpv6, 'IPv6');
  text.if(r2, 'notEqual', raw.etherIpv4, 'not ours');
  readIpv4(text);
  text.goTo('addresses');
  text.label('IPv6');
  readIpv6(text);
  text.label('addresses');
  loadSaved(text, r2, 'udpAt');
  text.do('set', r4, udpHeaderBytes + dnsHeaderBytes);
  setToSum(text, r3, frame, udp);
  readPacket(text, inRegister(r3), 'not ours');
  text.store(4, frame, stack.number, 0);
  lookUpMap(text, 'config', stack.number, 'not ours');
  text.do('set', configuration, inRegister(r0));
  text.load(r2, 8, configuration, configLayout.heartbeat);
  text.if(r2, 'equal', 0, 'not ours');
  findPlace(text);
}

const addressesAt = { ipv4: { from: 12, to: 16 }, ipv6: { from: 8, to: 24 } } as const;

/** Onto the stack, and its addresses mapped. */
function readIpv4(text: LaneText): void {
  readIp(text, udpBehindIpv4);
  leaveIf(text, [1, ip], 'notEqual', 0x45, 'not ours');
  leaveIf(text, [1, ip + 9], 'notEqual', protocolUdp, 'not ours');
  for (const [from, to] of [
    [addressesAt.ipv4.from, stack.client + clientLayout.address],
    [addressesAt.ipv4.to, stack.ourAddress],
  ] as const) {
    text.store(8, frame, to, 0);
    text.store(4, frame, to + 8, -0x1_0000);
    text.load(r2, 4, frame, ip + from);
    text.store(4, frame, to + 12, inRegister(r2));
  }
}

function readIpv6(text: LaneText): void {
  readIp(text, udpBehindIpv6);
  text.load(r2, 1, frame, ip);
  text.do('and', r2, 0xf0);
  text.if(r2, 'notEqual', 0x60, 'not ours');
  leaveIf(text, [1, ip + 6], 'notEqual', protocolUdp, 'not ours');
  for (const [from, to] of [
    [addressesAt.ipv6.from, stack.client + clientLayout.address],
    [addressesAt.ipv6.to, stack.ourAddress],
  ] as const) {
    for (const half of [0, 8]) {
      text.load(r2, 8, frame, ip + from + half);
      text.store(8, frame, to + half, inRegister(r2));
    }
  }
}

function readIp(text: LaneText, udpAt: number): void {
  save(text, 'udpAt', udpAt);
  text.do('set', r2, 0);
  text.do('set', r4, udpAt);
  setToSum(text, r3, frame, stack.headers);
  readPacket(text, inRegister(r3), 'not ours');
}

/** Which of our addresses and ports it is for. */
function findPlace(text: LaneText): void {
  text.load(r2, 8, frame, stack.ourAddress);
  text.load(r3, 8, frame, stack.ourAddress + 8);
  text.load(r4, 2, frame, udp + 2);
  text.if(r4, 'equal', 0, 'not ours');
  for (let place = 0; place < lanePlacesMax; place++) {
    const at = configLayout.places + configLayout.placeBytes * place;
    text.do('set', r5, place);
    text.load(r1, 8, configuration, at);
    text.if(r1, 'notEqual', inRegister(r2), `not at place ${place}`);
    text.load(r1, 8, configuration, at + 8);
    text.if(r1, 'notEqual', inRegister(r3), `not at place ${place}`);
    text.load(r1, 2, configuration, at + configLayout.placePort);
    text.if(r1, 'equal', inRegister(r4), 'ours');
    text.label(`not at place ${place}`);
  }
  text.goTo('not ours');
  text.label('ours');
  save(text, 'place', inRegister(r5));
}

/** One query with one question, perhaps an OPT, and nothing behind. The question's end follows from the length. */
function hasItTheShape(text: LaneText): void {
  doLengthsAgree(text);
  text.load(r3, 2, frame, dns + 2);
  text.if(r3, 'anyBit', raw.qrAndOpcode, 'shape');
  // CD is the second bit of the key.
  text.do('and', r3, raw.cd);
  text.do('shiftRight', r3, 11);
  save(text, 'key', inRegister(r3));
  text.load(r3, 2, frame, dns + 4);
  text.if(r3, 'notEqual', raw.one, 'shape');
  for (const count of [6, 8]) {
    text.load(r3, 2, frame, dns + count);
    text.if(r3, 'notEqual', 0, 'shape');
  }
  text.load(r3, 2, frame, dns + 10);
  text.swap(r3, 16);
  text.if(r3, 'above', 1, 'shape');
  save(text, 'hasOpt', inRegister(r3));
  text.do('multiply', r3, optHeadBytes);
  text.do('subtract', r2, udpHeaderBytes);
  text.do('subtract', r2, inRegister(r3));
  text.if(r2, 'below', dnsHeaderBytes + 1 + questionTailBytes, 'shape');
  text.if(r2, 'above', dnsHeaderBytes + longestName + questionTailBytes, 'shape');
  save(text, 'questionEnd', inRegister(r2));
}

/** No fragment, and IP's length is UDP's; that is left in register 2. */
function doLengthsAgree(text: LaneText): void {
  text.load(r2, 2, frame, udp + 4);
  text.swap(r2, 16);
  loadSaved(text, r5, 'udpAt');
  text.if(r5, 'equal', udpBehindIpv6, 'the length of IPv6');
  text.load(r3, 2, frame, ip + 6);
  text.if(r3, 'anyBit', raw.fragmented, 'shape');
  text.load(r3, 2, frame, ip + 2);
  text.swap(r3, 16);
  setToSum(text, r4, r2, ipv4Bytes);
  text.if(r3, 'notEqual', inRegister(r4), 'shape');
  text.goTo('lengths');
  text.label('the length of IPv6');
  text.load(r3, 2, frame, ip + 4);
  text.swap(r3, 16);
  text.if(r3, 'notEqual', inRegister(r2), 'shape');
  text.label('lengths');
  text.load(r3, 4, packetRegister, viewOfPacket.bytes);
  text.do('add', r5, inRegister(r2));
  text.if(r3, 'below', inRegister(r5), 'shape');
}

/** A plain OPT of version 0 without options: its size, and DO as the first bit of the key. */
function takeOpt(text: LaneText): void {
  save(text, 'limit', plainUdpBytes);
  loadSaved(text, r3, 'hasOpt');
  text.if(r3, 'equal', 0, 'name');
  placeInPacket(text, r2);
  text.do('set', r4, optHeadBytes);
  setToSum(text, r3, frame, stack.opt);
  readPacket(text, inRegister(r3), 'shape');
  leaveIf(text, [1, stack.opt], 'notEqual', 0, 'shape');
  leaveIf(text, [2, stack.opt + 1], 'notEqual', raw.typeOpt, 'shape');
  leaveIf(text, [1, stack.opt + 6], 'notEqual', 0, 'shape');
  leaveIf(text, [2, stack.opt + 9], 'notEqual', 0, 'shape');
  text.load(r3, 2, frame, stack.opt + 7);
  text.do('and', r3, raw.dnssecOk);
  text.do('shiftRight', r3, 7);
  loadSaved(text, r4, 'key');
  text.do('or', r4, inRegister(r3));
  save(text, 'key', inRegister(r4));
  text.load(r3, 2, frame, stack.opt + 3);
  text.swap(r3, 16);
  text.if(r3, 'below', plainUdpBytes, 'name');
  save(text, 'limit', inRegister(r3));
}

/** The name into the scratch, zeros behind it; type and class onto the stack. */
function takeName(text: LaneText): void {
  text.label('name');
  lookUpMap(text, 'scratch', stack.number, 'not ours');
  text.do('set', roaming, inRegister(r0));
  loadSaved(text, r4, 'questionEnd');
  text.do('subtract', r4, dnsHeaderBytes + questionTailBytes);
  save(text, 'nameBytes', inRegister(r4));
  text.do('set', r2, dnsHeaderBytes);
  placeInPacket(text, r2);
  readPacket(text, inRegister(roaming), 'shape');
  loadSaved(text, r2, 'nameBytes');
  text.do('set', r3, inRegister(roaming));
  text.do('add', r3, inRegister(r2));
  text.store(8, r3, 0, 0);
  text.do('add', r2, dnsHeaderBytes);
  placeInPacket(text, r2);
  text.do('set', r4, questionTailBytes);
  setToSum(text, r3, frame, stack.typeAndClass);
  readPacket(text, inRegister(r3), 'shape');
}

/** To lower case and into the hash, eight bytes at a time. Lengths of labels are below 64, so they are no letters. */
function hashName(text: LaneText): void {
  text.load(r0, 8, configuration, configLayout.seed);
  text.load(r3, 4, frame, stack.typeAndClass);
  for (const [part, bits] of [
    ['nameBytes', 32],
    ['key', 40],
    ['place', 48],
  ] as const) {
    loadSaved(text, r4, part);
    text.do('shiftLeft', r4, bits);
    text.do('or', r3, inRegister(r4));
  }
  mixIn(text);
  loadSaved(text, r1, 'nameBytes');
  text.do('add', r1, 7);
  text.do('shiftRight', r1, 3);
  text.do('set', r2, inRegister(roaming));
  text.label('a word of the name');
  text.load(r3, 8, r2, 0);
  toLowerCase(text);
  text.store(8, r2, 0, inRegister(r3));
  mixIn(text);
  text.do('add', r2, 8);
  text.do('subtract', r1, 1);
  text.if(r1, 'notEqual', 0, 'a word of the name');
  save(text, 'hash', inRegister(r0));
}

/** The hash in register 0, and the word in register 3 that goes into it. */
function mixIn(text: LaneText): void {
  text.do('xor', r0, inRegister(r3));
  text.constant(r5, laneHashFactor);
  text.do('multiply', r0, inRegister(r5));
  text.do('set', r3, inRegister(r0));
  text.do('shiftRight', r3, laneHashShift);
  text.do('xor', r0, inRegister(r3));
}

/** The eight bytes in register 3: a byte from A to Z gets the bit that lower-case letters have. */
function toLowerCase(text: LaneText): void {
  text.do('set', r4, inRegister(r3));
  text.constant(r5, everyByte(0x7f));
  text.do('and', r4, inRegister(r5));
  // The upper bit shows whether the byte is at least A, and whether it is above Z.
  text.do('set', slotRegister, inRegister(r4));
  text.constant(r5, everyByte(0x80 - 0x41));
  text.do('add', slotRegister, inRegister(r5));
  text.constant(r5, everyByte(0x80 - 0x5b));
  text.do('add', r4, inRegister(r5));
  text.do('xor', r4, -1);
  text.do('and', slotRegister, inRegister(r4));
  text.do('set', r4, inRegister(r3));
  text.do('xor', r4, -1);
  text.do('and', slotRegister, inRegister(r4));
  text.constant(r5, everyByte(0x80));
  text.do('and', slotRegister, inRegister(r5));
  text.do('shiftRight', slotRegister, 2);
  text.do('or', r3, inRegister(slotRegister));
}

/** One of a bucket's ways has the upper half of the hash and names the slot. */
function findSlot(text: LaneText): void {
  text.do('and', r0, bucketsCount - 1);
  text.store(4, frame, stack.number, inRegister(r0));
  lookUpMap(text, 'index', stack.number, 'missed');
  loadSaved(text, r2, 'hash');
  text.do('shiftRight', r2, 32);
  for (let way = 0; way < waysPerBucket; way++) {
    text.load(r3, 8, r0, 8 * way);
    text.do('set', r4, inRegister(r3));
    text.do('shiftRight', r4, 32);
    text.if(r4, 'equal', inRegister(r2), 'a slot');
  }
  text.goTo('missed');
  text.label('a slot');
  // An empty way names none: it becomes a number beyond all slots.
  text.do32('subtract', r3, 1);
  text.store(4, frame, stack.slotNumber, inRegister(r3));
  lookUpMap(text, 'slots', stack.slotNumber, 'missed');
  text.do('set', slotRegister, inRegister(r0));
}

/** Whatever the hash says, the slot's question is compared whole, so a collision is a miss. */
function isItTheSameQuestion(text: LaneText): void {
  text.load(r2, 4, slotRegister, slotLayout.generation);
  text.load(r3, 4, configuration, configLayout.generation);
  text.if(r2, 'notEqual', inRegister(r3), 'missed');
  text.load(r2, 4, slotRegister, slotLayout.typeAndClass);
  text.load(r3, 4, frame, stack.typeAndClass);
  text.if(r2, 'notEqual', inRegister(r3), 'missed');
  for (const [width, field, at] of [
    [1, slotLayout.key, 'key'],
    [1, slotLayout.place, 'place'],
    [2, slotLayout.nameBytes, 'nameBytes'],
  ] as const) {
    text.load(r2, width, slotRegister, field);
    loadSaved(text, r3, at);
    text.if(r2, 'notEqual', inRegister(r3), 'missed');
  }
  text.do('set', r1, inRegister(r3));
  text.do('add', r1, 7);
  text.do('shiftRight', r1, 3);
  text.do('set', r2, inRegister(roaming));
  text.load(r3, 2, slotRegister, slotLayout.nameAt);
  text.label('a word to compare');
  text.if(r3, 'above', laneSlotBytes - 8, 'missed');
  text.do('set', r4, inRegister(slotRegister));
  text.do('add', r4, inRegister(r3));
  text.load(r4, 8, r4, 0);
  text.load(r5, 8, r2, 0);
  text.if(r4, 'notEqual', inRegister(r5), 'missed');
  text.do('add', r2, 8);
  text.do('add', r3, 8);
  text.do('subtract', r1, 1);
  text.if(r1, 'notEqual', 0, 'a word to compare');
}

/** Fresh; or expired while nobody is there to ask upstream. */
function isItFresh(text: LaneText): void {
  save(text, 'isStale', 0);
  save(text, 'ageSeconds', 0);
  text.load(r2, 8, slotRegister, slotLayout.expires);
  text.if(roaming, 'below', inRegister(r2), 'fresh');
  unlessNobodyIsThere(text, 'expired');
  text.load(r2, 8, slotRegister, slotLayout.staleUntil);
  text.if(roaming, 'notBelow', inRegister(r2), 'expired');
  save(text, 'isStale', 1);
  text.goTo('to be given');
  text.label('fresh');
  text.load(r2, 8, slotRegister, slotLayout.stored);
  text.if(roaming, 'notAbove', inRegister(r2), 'to be given');
  text.do('subtract', roaming, inRegister(r2));
  text.do('divide', roaming, 1_000_000_000);
  save(text, 'ageSeconds', inRegister(roaming));
  text.label('to be given');
}

/** The whole answer, or none: cutting is the usual way's. Then the packet gets its new length. */
function doesItFit(text: LaneText): void {
  text.load(r1, 2, slotRegister, slotLayout.recordsBytes);
  text.if(r1, 'above', slotRecordsBytesMax, 'missed');
  save(text, 'recordsBytes', inRegister(r1));
  loadSaved(text, r2, 'questionEnd');
  text.do('add', r2, inRegister(r1));
  save(text, 'optAt', inRegister(r2));
  loadSaved(text, r3, 'hasOpt');
  text.if(r3, 'equal', 0, 'whole');
  text.do('add', r2, optHeadBytes);
  loadSaved(text, r3, 'isStale');
  text.do('multiply', r3, extendedErrorBytes);
  text.do('add', r2, inRegister(r3));
  text.label('whole');
  save(text, 'total', inRegister(r2));
  text.load(r4, 2, slotRegister, slotLayout.udpBytes);
  text.if(r2, 'above', inRegister(r4), 'large');
  loadSaved(text, r4, 'limit');
  text.if(r2, 'above', inRegister(r4), 'large');
  placeInPacket(text, r2);
  text.do('set', r1, inRegister(packetRegister));
  text.do('set', r3, 0);
  text.call(helpers.changeTail);
  text.if(r0, 'notEqual', 0, 'failed');
}

/** What goes its usual way is counted by the reason; what broke in the middle of its answer is lost, as on a bad line. */
function endings(text: LaneText): void {
  for (const [number, cause] of laneCauses.entries()) {
    text.label(cause);
    text.do('set', r2, number);
    text.goTo('counted');
  }
  text.label('counted');
  text.store(4, frame, stack.number, inRegister(r2));
  lookUpMap(text, 'passed', stack.number, 'not ours');
  text.load(r2, 8, r0, 0);
  text.do('add', r2, 1);
  text.store(8, r0, 0, inRegister(r2));
  text.label('not ours');
  text.do('set', r0, verdictNext);
  text.exit();
  text.label('broken');
  text.do('set', r0, verdictDrop);
  text.exit();
}
