/**
 * What released versions say to each other when one takes over from another, byte by byte as they sent it: this version
 * understands them, and says everything that they need. docs/VERSIONING.md promises it for neighbouring minor versions; a
 * file may be deleted once its version is older than that, and none may be changed.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { programVersion } from '../../src/config/version.js';
import { entriesFormat } from '../../src/takeover/entries.js';
import { type Frame, type Message, messageFrame, PeerFrameReader } from '../../src/takeover/protocol.js';
import { repositoryPath } from '../corpus/repository.js';
import { type Entry, readEntries } from './read-entries.js';

const folder = repositoryPath('test', 'takeover', 'released');
const versions = readdirSync(folder).map((file) => file.replace('.frames', ''));

interface Sent {
  readonly what: string;
  readonly bytes: Buffer;
  readonly frame: Frame;
}

function sentBy(version: string): Sent[] {
  const lines = readFileSync(`${folder}/${version}.frames`, 'utf8').split('\n');
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [what, hex] = line.split(': ');
      const bytes = Buffer.from(hex, 'hex');
      const frames = new PeerFrameReader().read(bytes);
      assert.equal(frames?.length, 1, what);
      return { what, bytes, frame: frames![0] };
    });
}

/** The JSON of a message's frame: what a version that reads it finds. */
function fieldsOf(bytes: Uint8Array): Record<string, unknown> {
  return JSON.parse(Buffer.from(bytes).toString('utf8', 5));
}

test('each minor version since 0.2 has its file', () => {
  const minor = (version: string): string => version.split('.').slice(0, 2).join('.');
  assert.ok(versions.some((version) => minor(version) === minor(programVersion())));
});

for (const version of versions) {
  describe(`what ${version} sends`, () => {
    const sent = sentBy(version);

    test('is understood, and in our words has everything that it needs', () => {
      const messages = sent.flatMap(({ what, bytes, frame }) =>
        frame.kind === 'message' ? [{ what, bytes, message: frame.message }] : [],
      );
      assert.ok(messages.length >= 11);
      for (const { what, bytes, message } of messages) {
        assert.equal(message.type, what.split(' ')[0]);
        const theirs = fieldsOf(bytes);
        const ours = fieldsOf(messageFrame(message as Message));
        for (const [field, value] of Object.entries(theirs)) assert.deepEqual(ours[field], value, `${what}: ${field}`);
      }
    });

    test('is a cache that we take, or one of another form', () => {
      const chunks = sent.flatMap(({ frame }) => (frame.kind === 'entries' ? [frame.chunk] : []));
      assert.equal(chunks.length, 1);
      const entries: Entry[] = [];
      const isRead = readEntries(chunks[0], (entry) => void entries.push(entry));
      assert.equal(isRead, Buffer.from(chunks[0]).readUInt16LE(0) === entriesFormat);
      const read = entries.map(({ zone, key, storedAtMs, message }) => [zone, key, storedAtMs, message.length]);
      const expected = [
        ['zone 1', 2, 12_000.25, 40],
        ['zone 0', 0, 12_001, 40],
      ];
      assert.deepEqual(read, isRead ? expected : []);
    });
  });
}
