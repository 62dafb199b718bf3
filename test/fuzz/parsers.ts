/**
 * One round for each parser: something nearly right is read, and what is read is held against dns-packet, another
 * parser of ours, or the same parser once more. A round throws what does not hold.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import packets from 'dns-packet';
import { ConfigError } from '../../src/config/config.js';
import { lex } from '../../src/config/lexer.js';
import { parseConfig } from '../../src/config/load.js';
import { FrameReader } from '../../src/dns/frame.js';
import { nameToWire, wireToName } from '../../src/dns/names.js';
import { Normaliser, ttlSeconds } from '../../src/dns/normalise.js';
import { encodeOptions, optionOf } from '../../src/dns/options.js';
import { Query, readQuery } from '../../src/dns/query.js';
import { sectionsOf } from '../../src/dns/sections.js';
import { Soundness } from '../../src/dns/soundness.js';
import { expandName, skipName, skipPlainName, u16 } from '../../src/dns/wire.js';
import { headerBytes, nameBytesMax } from '../../src/limits.js';
import type { Random } from '../../src/os/random.js';
import { parseHosts } from '../../src/plugins/hosts/table.js';
import { entriesFormat } from '../../src/takeover/entries.js';
import {
  entriesFrame,
  type Frame,
  PeerFrameReader as LetterReader,
  messageFrame,
} from '../../src/takeover/protocol.js';
import { checkSnapshot } from '../../src/takeover/snapshot.js';
import { testOptions } from '../config/options.js';
import { readMalformed, readUpstream, upstreamQuestion } from '../corpus/read.js';
import { repositoryPath } from '../corpus/repository.js';
import { hashKey } from '../dns/hash-key.js';
import { framed } from '../real/packets.js';
import { readEntries } from '../takeover/read-entries.js';
import { chunksOf, mutated, pick, randomBytes } from './mutate.js';

type Round = (random: Random) => void;

const fromClients: readonly Uint8Array[] = [
  ...readMalformed().map(({ bytes }) => bytes),
  packets.encode({
    ...{ type: 'query', id: 7, flags: 0x100, questions: [{ name: 'www.example.com', type: 'A', class: 'IN' }] },
    additionals: [{ type: 'OPT', name: '.', udpPayloadSize: 1232, flags: 0, options: [] } as never],
  }),
];
const fromServers: readonly Uint8Array[] = [
  ...readUpstream().map(({ bytes }) => bytes),
  packets.encode({
    ...{ type: 'response', id: 7, questions: [{ name: 'a.test', type: 'A', class: 'IN' }] },
    answers: [
      { name: 'a.test', type: 'CNAME', ttl: 9, data: 'b.test' },
      { name: 'b.test', type: 'A', ttl: 5, data: '192.0.2.1' },
      { name: 'b.test', type: 'MX', ttl: 5, data: { preference: 1, exchange: 'mx.b.test' } },
    ],
    authorities: [{ name: 'test', type: 'NS', ttl: 60, data: 'ns.test' }],
    additionals: [{ name: 'ns.test', type: 'A', ttl: 60, data: '192.0.2.53' }],
  }),
];
const plainName = /^(?:[a-z0-9-]{1,63}\.)+$/iu;

/** A client's packet: the bytes behind its end change nothing, and dns-packet reads the same question. */
const query: Round = (random) => {
  const packet = mutated(random, fromClients);
  const [alone, amid] = [new Query(), new Query()];
  const said = readQuery(packet, packet.length, alone);
  assert.equal(readQuery(Buffer.concat([packet, randomBytes(random, 40)]), packet.length, amid), said);
  if (said !== 'ok') return;
  assert.deepEqual({ ...amid, labels: null }, { ...alone, labels: null });
  assert.ok(alone.nameEnd - headerBytes <= nameBytesMax && alone.questionEnd === alone.nameEnd + 4);
  assert.equal(skipPlainName(packet, headerBytes, packet.length), alone.nameEnd);
  const theirs = decoded(packet)?.questions?.[0];
  const ours = wireToName(packet, headerBytes);
  // dns-packet does not tell a dot in a label from one between two.
  if (theirs !== undefined && plainName.test(ours)) assert.equal(`${theirs.name}.`, ours);
};

/** An upstream's message: sound is what is read, what is kept is read again as the same, and dns-packet finds as much. */
const normalise: Round = (random) => {
  const message = mutated(random, fromServers);
  const behind = headerBytes + upstreamQuestion.length;
  const isOurs =
    message.length >= behind && Buffer.compare(message.subarray(headerBytes, behind), upstreamQuestion) === 0;
  const isRead = normaliser.read(message);
  if (isOurs && u16(message, 4) === 1) assert.equal(soundness.look(message, behind) === 'none', isRead);
  if (!isRead) return;
  const { out } = normaliser;
  const kept = out.message.slice(0, out.messageBytes);
  const ttls = Array.from(out.ttlOffsets.subarray(0, out.records), (at) => ttlSeconds(kept, at));
  assert.ok(ttls.every((seconds) => seconds >= 0 && seconds <= 2 ** 31 - 1));
  const sections = sectionsOf(kept);
  assert.ok(sections !== null, 'what is kept can be read');
  assert.equal(sections.answers.length, out.answers);
  // dns-packet counts the bytes of a name that is not ASCII wrongly, so it may read one of the two only.
  const [before, after] = [addressesIn(message), addressesIn(kept)];
  if (before !== null && after !== null) assert.deepEqual(after, before);
  assert.equal(normaliser.read(kept), true);
  assert.deepEqual(Buffer.from(out.message.subarray(0, out.messageBytes)), Buffer.from(kept));
  assert.deepEqual(
    Array.from(out.ttlOffsets.subarray(0, out.records), (at) => ttlSeconds(kept, at)),
    ttls,
  );
};
const normaliser = new Normaliser(hashKey());
const soundness = new Soundness();

/** The IPv4 addresses in the answers, as dns-packet reads them; null where it cannot. */
function addressesIn(message: Uint8Array): string[] | null {
  const answers = decoded(message)?.answers;
  return answers?.flatMap((record) => (record.type === 'A' ? [record.data] : [])) ?? null;
}

/** dns-packet takes bytes and names that are no DNS, and refuses data that nobody needs to look at. */
function decoded(message: Uint8Array): packets.DecodedPacket | null {
  try {
    return packets.decode(Buffer.from(message));
  } catch {
    return null;
  }
}

/** Names: what is walked is what is expanded and written as text, and the text leads back. */
const names: Round = (random) => {
  const message = mutated(random, pick(random, [fromClients, fromServers]));
  const at = Math.min(headerBytes + random.below(60), message.length);
  const out = new Uint8Array(nameBytesMax + 1);
  const length = expandName(message, at, message.length, out);
  assert.ok(length <= nameBytesMax);
  if (length === 0) return;
  assert.ok(skipName(message, at, message.length) > at);
  assert.equal(skipPlainName(out, 0, length), length);
  const text = wireToName(out, 0);
  assert.equal(wireToName(message, at), text);
  assert.deepEqual(nameToWire(text), out.slice(0, length));
};

const options: Round = (random) => {
  const codes = Array.from({ length: 1 + random.below(4) }, () => random.below(20));
  const wanted = new Map(codes.map((code) => [code, new Uint8Array(randomBytes(random, random.below(30)))]));
  const data = encodeOptions(wanted);
  const header = Buffer.from('000781000001000000000001', 'hex');
  const opt = Buffer.from([0, 0, 41, 4, 0, 0, 0, 0, 0, data.length >> 8, data.length & 0xff]);
  const message = Buffer.concat([header, upstreamQuestion, opt, data]);
  for (const [code, bytes] of wanted) assert.deepEqual(optionOf(message, code), bytes);
  assert.equal(optionOf(message, 99), null);
  const broken = mutated(random, [message]);
  if (broken.length >= headerBytes) optionOf(broken, pick(random, codes));
};

/** A stream of messages, cut anywhere, is those messages. */
const frame: Round = (random) => {
  const messages = Array.from({ length: random.below(5) }, () => mutated(random, fromClients));
  const reader = new FrameReader();
  const got: Buffer[] = [];
  for (const chunk of chunksOf(random, Buffer.concat(messages.map(framed)))) {
    reader.push(chunk, (message) => got.push(Buffer.from(message)));
  }
  assert.deepEqual(got, messages);
  assert.equal(reader.unfinished, false);
};

const letters: readonly Uint8Array[] = [
  ...(['give', 'given', 'serving', 'leaving', 'go', 'left'] as const).map((type) => messageFrame({ type })),
  messageFrame({ type: 'serve', layout: { '127.0.0.1:53': [1, 2, 3] } }),
  messageFrame({ type: 'sockets', groups: ['a', 'b'] }),
  messageFrame({
    ...{ type: 'hello', as: 'successor', version: '1', pid: 2, network: 'net', clockMs: 3 },
    ...{ entriesFormat },
  }),
  entriesFrame(randomEntries()),
];

/** A chunk with one entry. */
function randomEntries(): Buffer {
  const [zone, message] = [Buffer.from('. 53'), Buffer.from(fromServers[0])];
  const [head, length, entry] = [Buffer.alloc(4), Buffer.alloc(2), Buffer.alloc(16)];
  head.writeUInt16LE(entriesFormat);
  head.writeUInt16LE(1, 2);
  length.writeUInt16LE(zone.length);
  entry.writeUInt32LE(message.length);
  entry.writeDoubleLE(12, 8);
  return Buffer.concat([head, length, zone, entry, message]);
}

/** What instances say to each other, cut anywhere: whatever is understood is understood again when it is said again. */
const handOver: Round = (random) => {
  const stream = mutated(random, [Buffer.concat([pick(random, letters), pick(random, letters)])]);
  const reader = new LetterReader();
  const frames: Frame[] = [];
  for (const chunk of chunksOf(random, stream)) {
    const some = reader.read(Buffer.from(chunk));
    if (some === null) break;
    frames.push(...some);
  }
  for (const got of frames) {
    if (got.kind === 'entries') readEntries(got.chunk, ({ message }) => void readAsStored(message));
    else assert.deepEqual(new LetterReader().read(messageFrame(got.message)), [got]);
  }
};

/** What is taken without being written anew is what would be written anew, so all that `read` refuses is refused. */
function readAsStored(message: Uint8Array): void {
  if (!normaliser.readStored(message, 0, message.length)) return;
  const { records, answers, rcode, questionEnd } = normaliser.out;
  assert.ok(normaliser.read(message));
  const { out } = normaliser;
  assert.deepEqual([out.records, out.answers, out.rcode, out.questionEnd], [records, answers, rcode, questionEnd]);
}

const entries: Round = (random) => {
  const taken: number[] = [];
  readEntries(mutated(random, [randomEntries()]), ({ message }) => taken.push(message.length));
  assert.ok(taken.every((length) => length >= headerBytes));
  const bytes = mutated(random, [Buffer.from('zerohop cache 1\n\0\0\0\0'), randomEntries()]);
  const file = { bytes: bytes.length, read: (at: number, length: number) => bytes.subarray(at, at + length) };
  const checking = checkSnapshot(file, { bootId: '', monotonicMs: 0, wallMs: 0 });
  let step = checking.next();
  while (step.done !== true) step = checking.next();
  assert.equal(typeof step.value, 'string');
};

const corefileFolders = ['corefiles', 'broken'].map((name) => repositoryPath('test', 'config', name));
const corefiles = corefileFolders.flatMap((folder) =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.corefile'))
    .map((file) => readFileSync(join(folder, file))),
);

/** A Corefile is understood, or refused with a place and a sentence. */
const corefile: Round = (random) => {
  const text = mutated(random, corefiles).toString('utf8');
  for (const read of [() => lex(text, 'f'), () => parseConfig(text, 'f', testOptions())]) {
    try {
      read();
    } catch (error) {
      assert.ok(error instanceof ConfigError, String((error as Error).stack));
      assert.match(error.summary, /^\S+?(?::\d+)?: \S/u);
    }
  }
};

const hostsFile = Buffer.from('127.0.0.1 localhost a.test # c\n::1%lo *.b.test b\\.c\n::ffff:192.0.2.1 x\n');

const hosts: Round = (random) => {
  const text = mutated(random, [hostsFile]).toString('utf8');
  const table = parseHosts(text, { zones: ['.'], reverse: true });
  const known = [...table.names()];
  const records = known.map((name) => table.find(name)!).flatMap(({ a, aaaa, ptr }) => [...a, ...aaaa, ...ptr]);
  assert.equal(records.length, table.entries);
  for (const name of known) assert.equal(wireToName(nameToWire(name), 0), name);
};

/** By name; each takes some microseconds, the Corefile's a hundred times as much. */
export const parserRounds: Readonly<Record<string, { readonly round: Round; readonly costs: number }>> = {
  query: { round: query, costs: 1 },
  normalise: { round: normalise, costs: 2 },
  names: { round: names, costs: 1 },
  options: { round: options, costs: 2 },
  frame: { round: frame, costs: 2 },
  'hand-over messages': { round: handOver, costs: 2 },
  'entries and snapshots': { round: entries, costs: 2 },
  corefile: { round: corefile, costs: 20 },
  'hosts files': { round: hosts, costs: 2 },
};
