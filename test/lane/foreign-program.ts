/**
 * Runs in a node's namespace: `LINK before|behind pass|drop` attaches a program of somebody else to what the interface
 * receives, which lets every packet pass or drops those for UDP port 53, says `attached`, and stays until it is ended.
 * `LINK count` says how many programs see the interface's packets.
 */
import { readFileSync } from 'node:fs';
import { argv, stdout } from 'node:process';
import { Assembler } from '../../src/lane/assembler.js';
import { Bpf } from '../../src/os/bpf.js';
import { calls } from '../os/loopback-sockets.js';

const [link, place, does] = argv.slice(2);
const index = Number(readFileSync(`/sys/class/net/${link}/ifindex`, 'utf8'));
const bpf = new Bpf(calls);
const verdictNext = -1;
const verdictDrop = 2;
const loadBytes = 26;
/** Of an Ethernet frame over IPv4 without options: the protocol, and the port that it is for. */
const protocolAt = 23;
const portAt = 36;

if (place === 'count') stdout.write(String(bpf.attachedTo(index)));
else await attach();

async function attach(): Promise<void> {
  const { fd, complaint } = await bpf.load('foreign', 'on interfaces', instructions());
  if (fd < 0) throw new Error(`it is not taken: ${fd} ${complaint}`);
  const attached = place === 'before' ? await bpf.attach(fd, index) : attachBehind(fd);
  if (attached < 0) throw new Error(`it is not attached: ${attached}`);
  stdout.write('attached\n');
  setInterval(() => {}, 2 ** 30);
}

/** BPF_LINK_CREATE for tcx, without a flag: it comes last. */
function attachBehind(program: number): number {
  const attributes = new DataView(new ArrayBuffer(152));
  for (const [at, word] of [program, index, 46, 0].entries()) attributes.setUint32(4 * at, word, true);
  return calls.bpf(28, attributes);
}

function instructions(): Uint8Array {
  const text = new Assembler<never>();
  if (does === 'drop') {
    text.do('set', 6, { register: 1 });
    read(text, protocolAt, 1);
    text.load(2, 1, 10, -8);
    text.if(2, 'notEqual', 17, 'pass');
    read(text, portAt, 2);
    text.load(2, 2, 10, -8);
    text.swap(2, 16);
    text.if(2, 'notEqual', 53, 'pass');
    text.do('set', 0, verdictDrop);
    text.exit();
    text.label('pass');
  }
  text.do('set', 0, verdictNext);
  text.exit();
  return text.assembled(() => -1).instructions;
}

/** So many bytes of the packet in register 6 onto the stack. */
function read(text: Assembler<never>, at: number, bytes: number): void {
  text.do('set', 1, { register: 6 });
  text.do('set', 2, at);
  text.do('set', 3, { register: 10 });
  text.do('add', 3, -8);
  text.do('set', 4, bytes);
  text.call(loadBytes);
  text.if(0, 'notEqual', 0, 'pass');
}
