import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inTemporaryFolder } from '../../../bench/cleanup.js';
import { whileServing } from '../../../bench/load/serving.js';
import { twoCores } from '../../../bench/machine.js';
import { needs } from '../../real/commands.js';
import { freePort } from '../../real/packets.js';

const core = twoCores()?.server ?? 0;

/** Answers every question with `rcode` and so many records that are not there, which nobody looks at. */
const standIn = `
  const socket = require('node:dgram').createSocket('udp4');
  const [port, rcode] = process.argv.slice(1).map(Number);
  socket.on('message', (query, from) => {
    const answer = Buffer.from(query);
    answer[2] |= 0x80; answer[3] = rcode; answer[7] = 1;
    socket.send(answer, from.port, from.address);
  });
  socket.bind(port, '127.0.0.1');`;

test('the server serves while it is used, and has ended when it is over', { skip: needs('taskset') }, async () => {
  const at = { address: '127.0.0.1', port: await freePort() };
  const command = [process.execPath, '-e', standIn, String(at.port), '0'];
  const pid = await whileServing(command, { core, at, question: 'a.test' }, async (its) => {
    process.kill(its, 0);
    return its;
  });
  assert.throws(() => process.kill(pid, 0), /ESRCH/);
});

test('it has ended also when its use throws', { skip: needs('taskset') }, async () => {
  const at = { address: '127.0.0.1', port: await freePort() };
  const command = [process.execPath, '-e', standIn, String(at.port), '0'];
  let pid = 0;
  const use = whileServing(command, { core, at, question: 'a.test' }, async (its) => {
    pid = its;
    throw new Error('dnsperf is unwell');
  });
  await assert.rejects(use, /dnsperf is unwell/);
  assert.throws(() => process.kill(pid, 0), /ESRCH/);
});

test('a server that ends instead is told with what it said', { skip: needs('taskset') }, async () => {
  await inTemporaryFolder('zerohop-test-', async (folder) => {
    const script = join(folder, 'server.cjs');
    writeFileSync(script, "process.stderr.write('no such zone'); process.exitCode = 3;");
    const at = { address: '127.0.0.1', port: await freePort() };
    const serving = whileServing([process.execPath, script], { core, at, question: 'a.test' }, async () => {});
    await assert.rejects(serving, /ended with 3: no such zone/);
  });
});
