/**
 * The floor below the kernel lane: a program that turns every question over IPv4 round where it lies, and says that it is
 * an answer. Runs in a node's namespace: attaches it to the interface that its argument names, says `ready`, and stays.
 */
import { readFileSync } from 'node:fs';
import { Assembler } from '../../src/lane/assembler.js';
import {
  dns,
  frame,
  helpers,
  inRegister,
  ip,
  packetRegister,
  r1,
  r2,
  r3,
  r4,
  r5,
  raw,
  setToSum,
  stack,
  udp,
  udpBehindIpv4,
  viewOfPacket,
} from '../../src/lane/text.js';
import { Bpf } from '../../src/os/bpf.js';
import { loadSystemCalls } from '../../src/os/system-calls.js';

const headerBytes = udpBehindIpv4 + 20;
const dnsPortRaw = 0x3500;
const qr = 0x80;

function echoProgram(): Uint8Array {
  const text = new Assembler<never>();
  text.do('set', packetRegister, inRegister(r1));
  text.load(r2, 4, packetRegister, viewOfPacket.protocol);
  text.if(r2, 'notEqual', raw.etherIpv4, 'pass');
  copy(text, helpers.loadBytes, stack.headers, udpBehindIpv4, 0);
  copy(text, helpers.loadBytes, udp, headerBytes - udpBehindIpv4, udpBehindIpv4);
  text.load(r2, 2, frame, udp + 2);
  text.if(r2, 'notEqual', dnsPortRaw, 'pass');
  for (const [width, one, other] of [
    [2, stack.headers, stack.headers + 6],
    [2, stack.headers + 2, stack.headers + 8],
    [2, stack.headers + 4, stack.headers + 10],
    [4, ip + 12, ip + 16],
    [2, udp, udp + 2],
  ] as const) {
    text.load(r2, width, frame, one);
    text.load(r3, width, frame, other);
    text.store(width, frame, one, inRegister(r3));
    text.store(width, frame, other, inRegister(r2));
  }
  text.store(2, frame, udp + 6, 0);
  text.load(r2, 1, frame, dns + 2);
  text.do('or', r2, qr);
  text.store(1, frame, dns + 2, inRegister(r2));
  copy(text, helpers.storeBytes, stack.headers, udpBehindIpv4, 0);
  copy(text, helpers.storeBytes, udp, headerBytes - udpBehindIpv4, udpBehindIpv4);
  text.load(r1, 4, packetRegister, viewOfPacket.interfaceIndex);
  text.do('set', r2, 0);
  text.call(helpers.redirectPeer);
  text.exit();
  text.label('pass');
  text.do('set', 0, -1);
  text.exit();
  return text.assembled(() => 0).instructions;
}

/** Between the packet and the stack. */
function copy(text: Assembler<never>, helper: number, place: number, bytes: number, at: number): void {
  text.do('set', r1, inRegister(packetRegister));
  text.do('set', r2, at);
  setToSum(text, r3, frame, place);
  text.do('set', r4, bytes);
  if (helper === helpers.storeBytes) text.do('set', r5, 0);
  text.call(helper);
  text.if(0, 'notEqual', 0, 'pass');
}

const system = loadSystemCalls();
if (system.calls === null) throw new Error(system.why);
const bpf = new Bpf(system.calls);
const { fd, complaint } = await bpf.load('echo', 'on interfaces', echoProgram());
if (fd < 0) throw new Error(complaint);
const index = Number(readFileSync(`/sys/class/net/${process.argv[2]}/ifindex`, 'utf8'));
const link = await bpf.attach(fd, index);
if (link < 0) throw new Error(`the program cannot be attached (${link})`);
process.stdout.write('ready\n');
// The link ends with the process.
setInterval(() => {}, 2 ** 30);
