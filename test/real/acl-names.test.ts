/**
 * `acl` and names in the place of the one asked for, with the threads that answer from the cache: what one client was told
 * is not told to one who may not have it, in whatever order they come.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { question, startOnLoopback } from './loopback.js';
import { openUdp } from './packets.js';
import { goodAnswer, startStandIn } from './stand-in.js';

const [friend, stranger] = ['127.0.0.3', '127.0.0.2'];

test('a refused name is reached by no other name, also when another client has it cached', async () => {
  const upstream = await startStandIn((query) => [goodAnswer(query)]);
  const asks = `forward . 127.0.0.1:${upstream.port} {\nforce_tcp\n}`;
  const zerohop = await startOnLoopback(
    [
      'cache 30',
      'rewrite name exact public.corpus.test. a.secret.corpus.test.',
      'template IN A alias.corpus.test {\nanswer "{{ .Name }} 60 IN CNAME a.secret.corpus.test."\n}',
      'acl secret.corpus.test {\nblock net 127.0.0.2\n}',
      asks,
    ].join('\n'),
    question(1, 'good', 1),
  );
  try {
    const clients = {
      [friend]: await openUdp(zerohop.place, friend),
      [stranger]: await openUdp(zerohop.place, stranger),
    };
    const rcodes: string[] = [];
    for (const [index, label] of ['public', 'alias', 'plain'].entries()) {
      for (const [turn, client] of [stranger, friend, stranger, friend, stranger].entries()) {
        const id = 100 * index + turn;
        clients[client].send(question(id, label, 1));
        const answer = await clients[client].receive(id);
        rcodes.push(`${label} ${client === friend ? 'friend' : 'stranger'} ${answer[3] & 0x0f}`);
      }
    }
    for (const client of Object.values(clients)) client.close();
    const of = (label: string, refused: number) =>
      ['stranger', 'friend', 'stranger', 'friend', 'stranger'].map(
        (client) => `${label} ${client} ${client === 'friend' ? 0 : refused}`,
      );
    assert.deepEqual(rcodes, [...of('public', 5), ...of('alias', 5), ...of('plain', 0)]);
  } finally {
    await zerohop.stop();
    upstream.close();
  }
});
