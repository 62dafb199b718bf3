/**
 * zerohop on a free port of 127.0.0.1, without root and without a namespace: for tests that speak bytes. It counts
 * as started when it answers.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, type Running, start } from './commands.js';
import { freePort, openUdp, type Place } from './packets.js';
import { questionEnd } from './stand-in.js';
import { entry } from './zerohop.js';

export interface LoopbackZerohop {
  readonly place: Place;
  readonly program: Running;
  /** The file that it serves by. */
  readonly corefile: string;
  /** Where /metrics is. */
  readonly metrics: Place;
  /** From the start of the process to the first answer. */
  readonly firstAnswerMs: number;
  /** Ends it, and fails the test when that was not clean. */
  stop(): Promise<void>;
}

/**
 * Starts it with these lines in the one block that serves `.`; `first` is asked until there is an answer. `environment`
 * comes on top of the test's own; `prefix` stands before its command line, `moreFlags` behind it.
 */
export async function startOnLoopback(
  lines: string,
  first: Uint8Array,
  environment: NodeJS.ProcessEnv = {},
  prefix: readonly string[] = [],
  moreFlags: readonly string[] = [],
): Promise<LoopbackZerohop> {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-real-'));
  const place = { address: '127.0.0.1', port: await freePort() };
  const corefile = join(folder, 'Corefile');
  writeFileSync(corefile, `.:${place.port} {\n    bind 127.0.0.1\n    ${lines}\n}\n`);
  const flags = ['-localip', '127.0.0.1', '-setupinterface=false', '-setupiptables=false', '-handover=', '-control='];
  const metrics = { address: '127.0.0.1', port: await freePort() };
  flags.push('-metrics-listen-address', `${metrics.address}:${metrics.port}`);
  const startedMs = performance.now();
  const program = start([...prefix, ...entry, '-conf', corefile, ...flags, ...moreFlags], environment);
  const stop = async (): Promise<void> => {
    const { status, stderr } = await program.stop();
    rmSync(folder, { recursive: true });
    assert.equal(status, 0, stderr);
  };
  try {
    await answers(program, place, first);
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
  return { place, program, corefile, metrics, firstAnswerMs: performance.now() - startedMs, stop };
}

/** Asks again and again, as nobody listens at first. */
async function answers(program: Running, place: Place, query: Uint8Array): Promise<void> {
  await eventually('the first answer', async () => {
    const ended = await Promise.race([program.finished, Promise.resolve(undefined)]);
    if (ended !== undefined) throw new Error(`zerohop ended with ${ended.status}: ${ended.stderr}${ended.stdout}`);
    const client = await openUdp(place);
    client.send(query);
    const answer = await eventually('an answer', () => client.left()[0], 40).catch(() => undefined);
    client.close();
    return answer === undefined ? undefined : true;
  });
}

/** `LABEL.corpus.test. IN TYPE` with RD. */
export function question(id: number, label: string, type: number): Buffer {
  const header = Buffer.from('000001000001000000000000', 'hex');
  header.writeUInt16BE(id);
  const name = Buffer.from(`${String.fromCharCode(label.length)}${label}\x06corpus\x04test\0`, 'latin1');
  return Buffer.concat([header, name, Buffer.from([type >> 8, type & 0xff, 0, 1])]);
}

/** The question came back byte for byte. */
export function assertEchoed(answer: Buffer, query: Uint8Array, what: string): void {
  const end = questionEnd(query);
  assert.deepEqual(answer.subarray(12, end), Buffer.from(query.subarray(12, end)), what);
}

/** The stand-in's answer to `good.corpus.test. A`. */
export function assertGood(answer: Buffer): void {
  assert.deepEqual([answer[3] & 0x0f, answer.readUInt16BE(6)], [0, 1]);
  assertEchoed(answer, question(0, 'good', 1), 'the good question');
}
