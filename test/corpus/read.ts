/**
 * The corpus: one packet a file, as hex text that a person can read, under a name that is a sentence. The first line
 * is `# expect: WORD`, the second and further comments say why, every later `#` line says what the bytes below it
 * are. `malformed/` holds what clients send, `upstream/` what servers answer. This file reads them and decides
 * nothing.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { repositoryPath } from './repository.js';

/** What becomes of a client's packet; `answer` is forwarded like any good question. */
export const clientExpectations = ['drop', 'formerr', 'notimp', 'refused', 'badvers', 'servfail', 'answer'] as const;
export type ClientExpectation = (typeof clientExpectations)[number];

/** What becomes of an upstream's message; `rejected` is as if it had not come. */
export const upstreamExpectations = ['rejected', 'accepted'] as const;
export type UpstreamExpectation = (typeof upstreamExpectations)[number];

export interface CorpusFile<Expectation extends string> {
  /** The file's name without its ending: a sentence with dashes. */
  readonly name: string;
  readonly expect: Expectation;
  readonly bytes: Uint8Array;
}

/** The id of the query that `upstream/` files answer; a file with another id is about just that. */
export const upstreamId = 0x1234;
/** The question that they answer, in wire form: `host.corpus.test. IN A`. */
export const upstreamQuestion: Uint8Array = Buffer.from('\x04host\x06corpus\x04test\0\0\x01\0\x01', 'latin1');

/** Clients' packets, in the order of their names. */
export function readMalformed(): CorpusFile<ClientExpectation>[] {
  return readFolder('malformed', clientExpectations);
}

/** Upstreams' messages, in the order of their names. */
export function readUpstream(): CorpusFile<UpstreamExpectation>[] {
  return readFolder('upstream', upstreamExpectations);
}

/** Bytes of hex text: blanks and `#` comments are skipped. Throws on anything else, and on half a byte. */
export function hexBytes(text: string): Uint8Array {
  const digits = text.replace(/#.*/g, '').replace(/\s+/g, '');
  if (!/^(?:[0-9a-f]{2})*$/i.test(digits)) throw new Error('not hex text');
  return Buffer.from(digits, 'hex');
}

function readFolder<Expectation extends string>(
  folder: string,
  expectations: readonly Expectation[],
): CorpusFile<Expectation>[] {
  const path = repositoryPath('test', 'corpus', folder);
  const files = readdirSync(path).filter((file) => file.endsWith('.hex'));
  return files.sort().map((file) => readOne(join(path, file), expectations));
}

function readOne<Expectation extends string>(
  path: string,
  expectations: readonly Expectation[],
): CorpusFile<Expectation> {
  const text = readFileSync(path, 'utf8');
  const word = /^# expect: (\S+)\n/.exec(text)?.[1];
  const expect = expectations.find((expectation) => expectation === word);
  if (expect === undefined) throw new Error(`${path}:1: expect one of ${expectations.join(', ')}`);
  try {
    return { name: basename(path, '.hex'), expect, bytes: hexBytes(text) };
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`);
  }
}
