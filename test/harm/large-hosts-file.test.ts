/** A hosts file of megabytes is read again, with a reload and without: others are answered meanwhile. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '../real/commands.js';
import { startOnLoopback } from '../real/loopback.js';
import { type Client, openUdp } from '../real/packets.js';
import { encodeQuery } from '../simulation/client.js';

/** What the machine's other work may add; before, nobody was answered for seconds. */
const lateMsMax = 300;

/** 5 MB. */
function linesOf(network: number): string {
  return Array.from({ length: 100_000 }, (_, index) => {
    return `10.${network}.${index >> 8}.${index & 255} host-${index}.example.test alias-${index}.test\n`;
  }).join('');
}

/** Asks what the main thread answers until it is over; the longest that an answer took. */
async function worstWhile(client: Client, isOver: () => boolean): Promise<number> {
  let worstMs = 0;
  for (let id = 1; !isOver(); id++) {
    const beganMs = performance.now();
    client.send(encodeQuery(`n${id}.made.test.`, 'A', id));
    await client.receive(id);
    worstMs = Math.max(worstMs, performance.now() - beganMs);
    await pause(2);
  }
  return worstMs;
}

test('a large hosts file is read without anybody waiting for it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'zerohop-hosts-'));
  const file = join(folder, 'hosts');
  writeFileSync(file, linesOf(1));
  const lines = `template IN A made.test {\n answer "{{ .Name }} 0 IN A 192.0.2.1"\n }\n hosts ${file} {\n reload 1s\n fallthrough\n }`;
  const { program, place, corefile, stop } = await startOnLoopback(lines, encodeQuery('a.made.test.', 'A', 1));
  const client = await openUdp(place);
  const address = async (): Promise<string> => {
    client.send(encodeQuery('host-7.example.test.', 'A', 9));
    return [...(await client.receive(9)).subarray(-4)].join('.');
  };
  const said = (text: string) => () => program.stdout().includes(text);
  assert.equal(await address(), '10.1.0.7');

  writeFileSync(corefile, readFileSync(corefile, 'utf8').replace('192.0.2.1', '192.0.2.2'));
  program.signal('SIGHUP');
  const reloadMs = await worstWhile(client, said('new configuration in force'));
  assert.ok(reloadMs < lateMsMax, `${reloadMs} ms while it reloads`);

  writeFileSync(file, linesOf(2));
  const changeMs = await worstWhile(client, said('has changed'));
  assert.ok(changeMs < lateMsMax, `${changeMs} ms while the file is read again`);
  await eventually('the file is in force', async () => ((await address()) === '10.2.0.7' ? true : undefined));
  client.close();
  await stop();
  rmSync(folder, { recursive: true });
});
