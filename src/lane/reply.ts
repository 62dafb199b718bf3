/**
 * The second half of the lane's program: the packet becomes its answer. It begins when the answer is found and fits, and the
 * packet has its new length; what fails from here on is lost, as on a bad line.
 */
import type { Register, Width } from './assembler.js';
import {
  markLayout,
  scratchBytes,
  slotLayout,
  slotRecordsBytesMax,
  slotTtlsMax,
  variantBits,
  variantsCount,
} from './layout.js';
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
  type LaneText,
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
  setToSum,
  slotRegister,
  stack,
  udp,
  udpBehindIpv4,
  udpBehindIpv6,
  udpHeaderBytes,
  viewOfPacket,
  writePacket,
} from './text.js';

const hopsMax = 64;

/** How answers leave. `peer`: into the namespace at the other end of a veth; `same`: out of the interface they came from. */
export type SendsBack = 'peer' | 'same';

/** From the records to the end of the program. */
export function answerPacket(text: LaneText, sendsBack: SendsBack): void {
  answerRecords(text);
  countTtlsDown(text);
  answerOpt(text);
  turnHeaders(text);
  answerDnsHeader(text);
  writeChecksum(text);
  sendBack(text, sendsBack);
}

/** The records as they are stored, behind the question. */
function answerRecords(text: LaneText): void {
  loadSaved(text, r4, 'recordsBytes');
  text.if(r4, 'equal', 0, 'TTLs');
  loadSaved(text, r2, 'questionEnd');
  placeInPacket(text, r2);
  setToSum(text, r3, slotRegister, slotLayout.records);
  writePacket(text);
}

/** By the answer's age in seconds, to 0 at the least; those of a stale one are all the same. */
function countTtlsDown(text: LaneText): void {
  text.label('TTLs');
  loadSaved(text, r2, 'ageSeconds');
  loadSaved(text, r3, 'isStale');
  text.do('or', r2, inRegister(r3));
  text.if(r2, 'equal', 0, 'OPT');
  text.load(configuration, 2, slotRegister, slotLayout.ttls);
  text.if(configuration, 'equal', 0, 'OPT');
  text.if(configuration, 'above', slotTtlsMax, 'OPT');
  setToSum(text, roaming, slotRegister, slotLayout.ttlPlaces);
  text.label('a TTL');
  text.load(r2, 2, roaming, 0);
  text.if(r2, 'above', slotRecordsBytesMax - 4, 'OPT');
  text.load(r4, 4, slotRegister, slotLayout.staleTtl);
  loadSaved(text, r3, 'isStale');
  text.if(r3, 'notEqual', 0, 'its TTL');
  text.do('set', r3, inRegister(slotRegister));
  text.do('add', r3, inRegister(r2));
  text.load(r4, 4, r3, slotLayout.records);
  text.swap(r4, 32);
  loadSaved(text, r3, 'ageSeconds');
  text.if(r4, 'above', inRegister(r3), 'something is left');
  text.do('set', r4, inRegister(r3));
  text.label('something is left');
  text.do('subtract', r4, inRegister(r3));
  text.label('its TTL');
  text.swap(r4, 32);
  text.store(4, frame, stack.ttl, inRegister(r4));
  loadSaved(text, r3, 'questionEnd');
  text.do('add', r2, inRegister(r3));
  placeInPacket(text, r2);
  setToSum(text, r3, frame, stack.ttl);
  text.do('set', r4, 4);
  writePacket(text);
  text.do('add', roaming, 2);
  text.do('subtract', configuration, 1);
  text.if(configuration, 'notEqual', 0, 'a TTL');
}

/** RFC 6891 6.1.2: root, type 41, our size, version 0, DO as queried; a stale answer says so (RFC 8914 4.4, 4.20). */
function answerOpt(text: LaneText): void {
  text.label('OPT');
  loadSaved(text, r2, 'hasOpt');
  text.if(r2, 'equal', 0, 'headers');
  text.store(1, frame, stack.opt, 0);
  text.store(2, frame, stack.opt + 1, raw.typeOpt);
  text.load(r2, 2, slotRegister, slotLayout.udpBytes);
  text.swap(r2, 16);
  text.store(2, frame, stack.opt + 3, inRegister(r2));
  text.store(1, frame, stack.opt + 5, 0);
  text.store(1, frame, stack.opt + 6, 0);
  loadSaved(text, r2, 'key');
  text.do('and', r2, 1);
  text.do('shiftLeft', r2, 7);
  text.store(2, frame, stack.opt + 7, inRegister(r2));
  text.store(2, frame, stack.opt + 9, 0);
  text.do('set', r4, optHeadBytes);
  loadSaved(text, r2, 'isStale');
  text.if(r2, 'equal', 0, 'an OPT');
  text.store(2, frame, stack.opt + 9, extendedErrorBytes << 8);
  text.store(2, frame, stack.opt + 11, raw.extendedError);
  text.store(2, frame, stack.opt + 13, raw.two);
  text.store(2, frame, stack.opt + 15, raw.staleAnswer);
  text.do('set', r4, optHeadBytes + extendedErrorBytes);
  text.load(r2, 2, slotRegister, slotLayout.flags);
  text.do('and', r2, raw.rcodeMask);
  text.if(r2, 'notEqual', raw.nxdomain, 'an OPT');
  text.store(2, frame, stack.opt + 15, raw.staleNxdomain);
  text.label('an OPT');
  loadSaved(text, r2, 'optAt');
  placeInPacket(text, r2);
  setToSum(text, r3, frame, stack.opt);
  writePacket(text);
}

/** Back to the sender: MAC and IP addresses and ports change places, lengths are the answer's. */
function turnHeaders(text: LaneText): void {
  text.label('headers');
  exchange(text, [
    [2, stack.headers, stack.headers + 6],
    [2, stack.headers + 2, stack.headers + 8],
    [2, stack.headers + 4, stack.headers + 10],
    [2, udp, udp + 2],
  ]);
  writeLength(text, udp + 4, udpHeaderBytes);
  // Over IPv4: there is no checksum. Over IPv6 it is made at the end.
  text.store(2, frame, udp + 6, 0);
  loadSaved(text, r2, 'udpAt');
  text.if(r2, 'equal', udpBehindIpv6, 'turn IPv6');
  turnIpv4(text);
  text.goTo('turned');
  text.label('turn IPv6');
  turnIpv6(text);
  text.label('turned');
  text.do('set', r2, 0);
  setToSum(text, r3, frame, stack.headers);
  loadSaved(text, r4, 'udpAt');
  writePacket(text);
}

/** Both places have so many bytes. */
function exchange(text: LaneText, pairs: readonly (readonly [Width, number, number])[]): void {
  for (const [width, first, second] of pairs) {
    text.load(r2, width, frame, first);
    text.load(r3, width, frame, second);
    text.store(width, frame, first, inRegister(r3));
    text.store(width, frame, second, inRegister(r2));
  }
}

/** The message's bytes and so many more. */
function writeLength(text: LaneText, at: number, more: number): void {
  loadSaved(text, r2, 'total');
  text.do('add', r2, more);
  text.swap(r2, 16);
  text.store(2, frame, at, inRegister(r2));
}

function turnIpv4(text: LaneText): void {
  exchange(text, [[4, ip + 12, ip + 16]]);
  writeLength(text, ip + 2, udpHeaderBytes + ipv4Bytes);
  text.store(1, frame, ip + 1, 0);
  text.store(2, frame, ip + 4, 0);
  text.store(2, frame, ip + 6, raw.dontFragment);
  text.store(1, frame, ip + 8, hopsMax);
  text.store(2, frame, ip + 10, 0);
  text.do('set', r0, 0);
  for (let at = ip; at < ip + ipv4Bytes; at += 2) {
    text.load(r3, 2, frame, at);
    text.do('add', r0, inRegister(r3));
  }
  fold(text);
  text.store(2, frame, ip + 10, inRegister(r0));
}

/** The sum in register 0 becomes an Internet checksum (RFC 1071). */
function fold(text: LaneText): void {
  for (let time = 0; time < 2; time++) {
    text.do('set', r3, inRegister(r0));
    text.do('shiftRight', r3, 16);
    text.do('and', r0, 0xffff);
    text.do('add', r0, inRegister(r3));
  }
  text.do('xor', r0, 0xffff);
}

function turnIpv6(text: LaneText): void {
  exchange(text, [
    [8, ip + 8, ip + 24],
    [8, ip + 16, ip + 32],
  ]);
  writeLength(text, ip + 4, udpHeaderBytes);
  text.store(4, frame, ip, raw.ipv6WithoutFlow);
  text.store(1, frame, ip + 7, hopsMax);
}

/** The flags as the slot has them, RD and CD from the query; AD only for clients that sent DO or AD (RFC 6840 5.8). */
function answerDnsHeader(text: LaneText): void {
  text.load(r2, 2, slotRegister, slotLayout.flags);
  text.load(r3, 2, frame, dns + 2);
  text.load(r4, 2, slotRegister, slotLayout.flagsCopied);
  text.do('and', r4, inRegister(r3));
  text.do('or', r2, inRegister(r4));
  loadSaved(text, r4, 'key');
  text.do('and', r4, 1);
  text.do('and', r3, raw.ad);
  text.do('or', r3, inRegister(r4));
  text.if(r3, 'equal', 0, 'flags');
  text.load(r3, 2, slotRegister, slotLayout.flagsAuthentic);
  text.do('or', r2, inRegister(r3));
  text.label('flags');
  text.store(2, frame, dns + 2, inRegister(r2));
  text.load(r2, 2, slotRegister, slotLayout.answers);
  text.store(2, frame, dns + 6, inRegister(r2));
  text.load(r2, 2, slotRegister, slotLayout.authorities);
  text.store(2, frame, dns + 8, inRegister(r2));
  text.load(r2, 2, slotRegister, slotLayout.additionals);
  loadSaved(text, r3, 'hasOpt');
  text.do('add', r2, inRegister(r3));
  text.swap(r2, 16);
  text.store(2, frame, dns + 10, inRegister(r2));
  loadSaved(text, r2, 'udpAt');
  setToSum(text, r3, frame, udp);
  text.do('set', r4, udpHeaderBytes + dnsHeaderBytes);
  writePacket(text);
}

/** Over IPv6 there must be one: of both addresses, the length, the protocol and the datagram (RFC 8200 8.1). */
function writeChecksum(text: LaneText): void {
  loadSaved(text, r2, 'udpAt');
  text.if(r2, 'equal', udpBehindIpv4, 'all is written');
  text.store(4, frame, stack.number, 0);
  lookUpMap(text, 'scratch', stack.number, 'broken');
  text.do('set', roaming, inRegister(r0));
  loadSaved(text, r4, 'total');
  text.do('add', r4, udpHeaderBytes);
  text.do('set', configuration, inRegister(r4));
  forgetWays(text, configuration);
  text.if(configuration, 'above', scratchBytes - 8, 'broken');
  text.if(configuration, 'below', udpHeaderBytes, 'broken');
  text.do('set', r4, inRegister(configuration));
  text.do('set', r2, udpBehindIpv6);
  readPacket(text, inRegister(roaming), 'broken');
  text.do('set', r3, inRegister(roaming));
  text.do('add', r3, inRegister(configuration));
  text.store(8, r3, 0, 0);
  text.load(r5, 2, frame, udp + 4);
  text.do('add', r5, raw.protocolUdp);
  setToSum(text, r3, frame, ip + 8);
  text.do('set', r4, 32);
  addToChecksum(text);
  text.do('set', r5, inRegister(r0));
  text.do('set', r3, inRegister(roaming));
  // Whole words, of which the rest is 0; name and records come from one slot, so there are no more than the 512 bytes of
  // which older kernels make a sum at once.
  setToSum(text, r4, configuration, 3);
  text.do('and', r4, -4);
  addToChecksum(text);
  fold(text);
  // 0 would say that there is none.
  text.if(r0, 'notEqual', 0, 'a checksum');
  text.do('set', r0, 0xffff);
  text.label('a checksum');
  text.store(2, frame, udp + 6, inRegister(r0));
  text.do('set', r2, udpBehindIpv6 + 6);
  setToSum(text, r3, frame, udp + 6);
  text.do('set', r4, 2);
  writePacket(text);
  text.label('all is written');
}

/** Register 0 = register 5 and the sum of register 4 bytes from where register 3 points to. */
function addToChecksum(text: LaneText): void {
  text.do('set', r1, 0);
  text.do('set', r2, 0);
  text.call(helpers.checksum);
}

/**
 * The register is as it was, but the verifier does not know: without CAP_PERFMON it wants one proof of a place in memory
 * for all ways on which the program may come to it, whether the register is a constant there or not.
 */
function forgetWays(text: LaneText, register: Register): void {
  text.load(r4, 4, slotRegister, slotLayout.generation);
  text.do('set', r5, inRegister(r4));
  text.do('xor', r4, inRegister(r5));
  text.do('xor', register, inRegister(r4));
}

/** Counts the answer by slot and variant; then the kernel sends the packet. */
function sendBack(text: LaneText, sendsBack: SendsBack): void {
  lookUpMap(text, 'marks', stack.slotNumber, 'broken');
  loadSaved(text, r2, 'isStale');
  text.do('multiply', r2, variantBits.isStale);
  loadSaved(text, r3, 'hasOpt');
  text.do('or', r2, inRegister(r3));
  loadSaved(text, r3, 'udpAt');
  text.if(r3, 'equal', udpBehindIpv4, 'the variant');
  text.do('or', r2, variantBits.isIpv6);
  text.label('the variant');
  forgetWays(text, r2);
  text.do('and', r2, variantsCount - 1);
  text.do('shiftLeft', r2, 2);
  text.do('add', r0, inRegister(r2));
  text.do('set', r2, 1);
  text.addAtomically(r0, markLayout.answers, r2);
  text.load(r1, 4, packetRegister, viewOfPacket.interfaceIndex);
  text.do('set', r2, 0);
  text.call(sendsBack === 'peer' ? helpers.redirectPeer : helpers.redirect);
  text.exit();
}
