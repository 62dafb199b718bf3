/** The running program tells a collector at a unix socket; BIND's dnstap-read says what it was told. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Collector, controlFrame, framesFile } from '../observe/collector.js';
import { eventually, needs, output } from './commands.js';
import { question, startOnLoopback } from './loopback.js';
import { openUdp } from './packets.js';

const folder = mkdtempSync(join(tmpdir(), 'zerohop-dnstap-'));
after(() => rmSync(folder, { recursive: true }));

test('dnstap-read understands every message, with the packets in it', { skip: needs('dnstap-read') }, async () => {
  const collector = new Collector();
  const socket = join(folder, 'collector.sock');
  const server = createServer((stream) => {
    stream.on('data', (bytes) => collector.take(bytes)).on('end', () => stream.end());
    stream.write(controlFrame(1, 'protobuf:dnstap.Dnstap'));
  }).listen(socket);
  const made = 'template IN A {\n        answer "{{ .Name }} 60 IN A 192.0.2.7"\n    }';
  const said = 'identity node-1\n        version "zerohop of a test"\n        extra "{class} {rcode}"';
  const lines = `${made}\n    dnstap unix://${socket} full {\n        ${said}\n    }`;
  const zerohop = await startOnLoopback(lines, question(1, 'first', 1));
  try {
    const client = await openUdp(zerohop.place);
    client.send(question(77, 'second', 1));
    await eventually('the second question with its answer', () => collector.frames.length >= 4);
    client.close();
  } finally {
    await zerohop.stop();
    server.close();
  }
  assert.deepEqual(
    [collector.controls[0], collector.controls.at(-1)],
    ['READY protobuf:dnstap.Dnstap', 'STOP'],
    'it says goodbye',
  );
  const file = join(folder, 'frames');
  writeFileSync(file, framesFile(collector.frames));
  const lastTwo = (await output(['dnstap-read', file])).trim().split('\n').slice(-2);
  assert.match(lastTwo[0], /^\S+ \S+ CQ 127\.0\.0\.1:\d+ -> 127\.0\.0\.1:\d+ UDP \d+b second\.corpus\.test\/IN\/A$/u);
  assert.match(lastTwo[1], /^\S+ \S+ CR 127\.0\.0\.1:\d+ <- 127\.0\.0\.1:\d+ UDP \d+b second\.corpus\.test\/IN\/A$/u);
  const whole = await output(['dnstap-read', '-y', file]);
  for (const part of ['identity: node-1', 'version: zerohop of a test', 'second.corpus.test. 60 IN A 192.0.2.7']) {
    assert.ok(whole.includes(part), `${part} in ${whole}`);
  }
});
