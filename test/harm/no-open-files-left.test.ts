/** Somebody opens connections until the program can open nothing more: it answers on over UDP, and stays healthy. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { selfCheckPeriodMs, selfQueryTimeoutMs } from '../../src/limits.js';
import { eventually, needs, output } from '../real/commands.js';
import { startOnLoopback } from '../real/loopback.js';
import { openUdp } from '../real/packets.js';
import { encodeQuery } from '../simulation/client.js';

const skip = needs('prlimit', 'curl');
const lines = 'template IN A {\n answer "{{ .Name }} 5 IN A 192.0.2.1"\n }';

test('when no file can be opened any more, health is not lost', { skip }, async () => {
  const { program, place, metrics, stop } = await startOnLoopback(lines, encodeQuery('a.test.', 'A', 1));
  const openFiles = () => readdirSync(`/proc/${program.pid}/fd`).length;
  const limit = (max: number) => output(['prlimit', '--pid', `${program.pid}`, `--nofile=${max}:`]);
  const page = () => output(['curl', '-s', '-S', `http://${metrics.address}:${metrics.port}/metrics`]);
  const number = async (name: string) => Number(new RegExp(`^${name}.* (\\d+)$`, 'mu').exec(await page())?.[1]);
  await eventually('it has checked itself', async () =>
    (await number('coredns_health_request_duration_seconds_count')) > 0 ? true : undefined,
  );
  await limit(openFiles() + 2);
  let closed = 0;
  const sockets = Array.from({ length: 20 }, () =>
    connect(place.port, place.address)
      .on('error', () => {})
      .on('close', () => closed++),
  );
  await pause(2 * (selfCheckPeriodMs + selfQueryTimeoutMs));
  const client = await openUdp(place);
  client.send(encodeQuery('b.test.', 'A', 7));
  await client.receive(7);
  client.close();
  assert.ok(closed > 0, 'it had run out');
  for (const socket of sockets) socket.destroy();
  await limit(1_000);
  assert.doesNotMatch(program.stdout(), /Unhealthy/u);
  assert.equal(await number('coredns_health_request_failures_total'), 0);
  await stop();
});
