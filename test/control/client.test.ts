import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { askControl, type ControlOutcome } from '../../src/control/client.js';
import { controlLineBytesMax, controlSilenceMs } from '../../src/limits.js';
import type { PathSockets, Stream, StreamEvents } from '../../src/os/network.js';
import { ManualClock } from '../simulation/clock.js';
import { type NearEnd, nearEnd } from './near-sockets.js';

const greeting = '{"protocol":1,"version":"1.2.3","pid":7}\n';

/** A client whose server is the test. */
function newClient(silenceMsMax?: number | null) {
  const clock = new ManualClock();
  let server: NearEnd | undefined;
  const items: unknown[] = [];
  const sockets: PathSockets = {
    listen: () => assert.fail('a client listens to nobody'),
    connect: async (_path: string, events: StreamEvents) => {
      let stream!: Stream;
      server = nearEnd((each) => {
        stream = each;
        return events;
      });
      return stream;
    },
  };
  const asked = askControl(
    { clock, sockets, path: '/run/x.sock', version: '1.2.0' },
    {
      ...{ command: 'status', arguments: { some: 1 } },
      ...(silenceMsMax === undefined ? {} : { silenceMsMax }),
      item: (item) => void items.push(item),
    },
  );
  return { clock, items, asked, server: () => server! };
}

function failureOf(outcome: ControlOutcome): [why: string, sentence: string] {
  assert.ok(!outcome.ok);
  return [outcome.why, outcome.sentence];
}

async function refusedWith(code: string): Promise<[why: string, sentence: string]> {
  const sockets: PathSockets = {
    listen: () => assert.fail('a client listens to nobody'),
    connect: async () => {
      throw Object.assign(new Error(`connect ${code}`), { code });
    },
  };
  const deps = { clock: new ManualClock(), sockets, path: '/run/x.sock', version: '1' };
  return failureOf(await askControl(deps, { command: 'status', arguments: {}, item() {} }).outcome);
}

describe('the control client', () => {
  test('waits for the greeting, asks, and gives the items as they come', async () => {
    const { asked, items, server, clock } = newClient();
    await clock.pass(0);
    assert.equal(server().heard(), '');
    server().say(greeting);
    assert.deepEqual(server().messages(), [{ command: 'status', arguments: { some: 1 } }]);
    server().say('{"type":"item","item":1}\n{"type":"item","item":{"two":2}}\n{"type":"e');
    assert.deepEqual(items, [1, { two: 2 }]);
    server().say('nd"}\n{"type":"item","item":3}\n');
    assert.deepEqual(await asked.outcome, { ok: true, server: { protocol: 1, version: '1.2.3', pid: 7 } });
    assert.equal(items.length, 2);
    assert.ok(server().isClosed);
  });

  test('nobody there, another user and a full socket are one sentence each', async () => {
    const missing = 'no zerohop listens at /run/x.sock; start zerohop, or give the path of its socket with -control.';
    for (const code of ['ENOENT', 'ENOTDIR', 'ECONNREFUSED']) {
      assert.deepEqual(await refusedWith(code), ['missing', missing]);
    }
    const foreign = "/run/x.sock is another user's; run the command as the user that runs zerohop.";
    for (const code of ['EACCES', 'EPERM']) assert.deepEqual(await refusedWith(code), ['foreign', foreign]);
    const busy = 'too many commands are asking the zerohop at /run/x.sock; try again.';
    assert.deepEqual(await refusedWith('EAGAIN'), ['busy', busy]);
    assert.deepEqual(await refusedWith('EMFILE'), ['failed', 'cannot connect to /run/x.sock: connect EMFILE.']);
  });

  test('another version, and what is no zerohop, are told apart', async () => {
    const other = newClient();
    await other.clock.pass(0);
    other.server().say('{"protocol":2,"version":"3.0.0","pid":7}\n');
    assert.deepEqual(failureOf(await other.asked.outcome), [
      'version',
      'zerohop 3.0.0 runs at /run/x.sock and does not understand zerohop 1.2.0; use the program of the running version.',
    ]);
    const strange = "what listens at /run/x.sock does not speak as zerohop's control socket does; ";
    const remedy = 'name the right socket with -control.';
    for (const said of ['HTTP/1.1 400 Bad Request\r\n', `${greeting}nonsense\n`, 'x'.repeat(controlLineBytesMax + 1)]) {
      const { asked, server, clock } = newClient();
      await clock.pass(0);
      server().say(said);
      assert.deepEqual(failureOf(await asked.outcome), ['version', strange + remedy]);
    }
  });

  test('the server’s refusal is passed on', async () => {
    const { asked, server, clock } = newClient();
    await clock.pass(0);
    server().say(`${greeting}{"type":"error","kind":"busy","sentence":"too many."}\n`);
    assert.deepEqual(failureOf(await asked.outcome), ['busy', 'too many.']);
  });

  test('a server that goes, or says nothing, is waited for no longer', async () => {
    const gone = newClient();
    await gone.clock.pass(0);
    gone.server().say(greeting);
    gone.server().end();
    const [why, sentence] = failureOf(await gone.asked.outcome);
    assert.deepEqual([why, sentence], ['failed', 'the zerohop at /run/x.sock has closed the connection; try again.']);
    const silent = newClient();
    await silent.clock.pass(controlSilenceMs);
    assert.deepEqual(failureOf(await silent.asked.outcome), [
      'failed',
      'the zerohop at /run/x.sock has not answered for 3 s; it may hang or the node be overloaded; try again, and look at its log.',
    ]);
    const slow = newClient();
    await slow.clock.pass(0);
    slow.server().say(`${greeting}{"type":"item","item":1}\n`);
    await slow.clock.pass(controlSilenceMs);
    assert.equal((await slow.asked.outcome).ok, false);
  });

  test('a stream may be silent, and is ended by the one who asked', async () => {
    const { asked, server, clock, items } = newClient(null);
    await clock.pass(0);
    server().say(greeting);
    await clock.pass(100 * controlSilenceMs);
    server().say('{"type":"item","item":1}\n');
    assert.deepEqual(items, [1]);
    asked.stop();
    assert.equal((await asked.outcome).ok, true);
    assert.ok(server().isClosed);
    const early = newClient();
    early.asked.stop();
    assert.equal((await early.asked.outcome).ok, true);
  });
});
