/**
 * Writes test/takeover/released/VERSION.frames: what this version says when one instance takes over from another. Run by
 * hand for each new minor version (RELEASING.md); released.test.ts reads the files.
 */
import { writeFileSync } from 'node:fs';
import { Blocks, cacheMemory } from '../../src/cache/blocks.js';
import { programVersion } from '../../src/config/version.js';
import { entriesFormat, writeEntries } from '../../src/takeover/entries.js';
import { entriesFrame, type Message, messageFrame } from '../../src/takeover/protocol.js';
import { repositoryPath } from '../corpus/repository.js';
import { hashKey } from '../dns/hash-key.js';

const version = programVersion();
const introduction = { version, pid: 7, network: 'net:[4026531840]', clockMs: 12345.5, entriesFormat };
const layout = { 'udp 169.254.20.10 53': [101, 0, 103], 'tcp 169.254.20.10 53': [104] };
const messages: readonly Message[] = [
  { type: 'sockets', groups: ['udp 169.254.20.10 53', 'udp 169.254.20.10 53'] },
  { type: 'hello', as: 'successor', ...introduction },
  { type: 'hello', as: 'stand-by', ...introduction },
  { type: 'welcome', layout, ...introduction },
  { type: 'give' },
  { type: 'given' },
  { type: 'serving' },
  { type: 'serve', layout },
  { type: 'leaving' },
  { type: 'go' },
  { type: 'left' },
];

/** A response to `a.test. A`, 192.0.2.1 for 30 s. */
const message = Buffer.from('000081800001000100000000016104746573740000010001c00c000100010000001e0004c0000201', 'hex');
const source = {
  blocks: new Blocks(cacheMemory(), hashKey()),
  holds: () => false,
  zoneName: (zoneId: number): string => `zone ${zoneId}`,
};
const [chunk] = writeEntries(source, [
  [
    { zoneId: 1, key: 2, storedAtMs: 12_000.25, message },
    { zoneId: 0, key: 0, storedAtMs: 12_001, message },
  ],
]);

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const lines = [
  `# What ${version} sends, as it goes over the socket: each line a frame. This file does not change any more.`,
  ...messages.map((each) => `${each.type}${'as' in each ? ` ${each.as}` : ''}: ${hex(messageFrame(each))}`),
  `entries: ${hex(entriesFrame(chunk))}`,
];
writeFileSync(repositoryPath('test', 'takeover', 'released', `${version}.frames`), `${lines.join('\n')}\n`);
