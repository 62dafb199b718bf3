import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { get, request as httpRequest, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { after, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { httpConnectionsOwnMax, httpRequestBytesMax, httpTimeoutMs } from '../../src/limits.js';
import { groupRoutes, type HttpRoutes, type HttpServer, listenFailure, startHttp } from '../../src/observe/http.js';
import { systemClock } from '../../src/os/clock.js';

const loopback = { address: '127.0.0.1', port: 0 };
const servers: HttpServer[] = [];
after(() => Promise.all(servers.map((server) => server.close())));

const errors: unknown[] = [];
const outside = { clock: systemClock(), failed: (error: unknown) => void errors.push(error), hostAddresses: () => [] };
async function start(routes: HttpRoutes, at = loopback): Promise<HttpServer> {
  const server = await startHttp(at, routes, outside);
  servers.push(server);
  return server;
}

it('loads no HTTP client, which would be megabytes on Node.js 24', () => {
  const module = new URL('../../src/observe/http.js', import.meta.url).href;
  const script = `await import(${JSON.stringify(module)}); console.log(process.moduleLoadList.join());`;
  const loaded = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.match(loaded, /_http_server/);
  assert.doesNotMatch(loaded, /undici|http2/);
});

interface Got {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

function ask(server: HttpServer, path: string, method = 'GET', body?: string): Promise<Got> {
  return new Promise((resolve, reject) => {
    const { address, port } = server.local;
    const request = httpRequest({ host: address, port, path, method, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: text }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** Writes bytes and gives all that comes back until the server closes. */
function raw(server: HttpServer, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(server.local.port, server.local.address, () => socket.write(text));
    let received = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      received += chunk;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(received));
  });
}

const routes: HttpRoutes = {
  '/health': async () => ({ status: 200, body: 'OK' }),
  '/ready': async () => ({ status: 503, body: 'upstream' }),
  '/metrics': async () => ({ status: 200, body: 'a_total 1\n', contentType: 'text/plain; version=0.0.4' }),
  '/broken': async () => {
    throw new Error('a bug');
  },
};

describe('http', () => {
  it('answers each path with what its route says', async () => {
    const server = await start(routes);
    const health = await ask(server, '/health');
    assert.deepEqual([health.status, health.body], [200, 'OK']);
    assert.equal(health.headers['content-type'], 'text/plain; charset=utf-8');
    assert.equal(health.headers['content-length'], '2');
    const ready = await ask(server, '/ready');
    assert.deepEqual([ready.status, ready.body], [503, 'upstream']);
    const metrics = await ask(server, '/metrics?name[]=a_total');
    assert.deepEqual([metrics.status, metrics.body], [200, 'a_total 1\n']);
    assert.equal(metrics.headers['content-type'], 'text/plain; version=0.0.4');
  });

  it('tells routes method and Host, and sends the headers that they give', async () => {
    const server = await start({
      '/who': async ({ method, host }) => ({ status: 200, body: `${method} ${host}`, headers: { 'X-Own': 'yes' } }),
    });
    const { port } = server.local;
    const { body, headers } = await ask(server, '/who', 'PUT');
    assert.deepEqual([body, headers['x-own']], [`PUT 127.0.0.1:${port}`, 'yes']);
    const without = await raw(server, 'GET /who HTTP/1.0\r\n\r\n');
    assert.match(without, /\r\n\r\nGET $/);
  });

  it('knows no other path', async () => {
    const server = await start(routes);
    for (const path of ['/', '/healthy', '/health/', '/HEALTH', '/toString', '/__proto__', '/%2e%2e/health']) {
      const { status, body } = await ask(server, path);
      assert.deepEqual([status, body], [404, '404 page not found\n'], path);
    }
  });

  it('answers HEAD without a body, and any other method like GET', async () => {
    const server = await start(routes);
    const head = await ask(server, '/health', 'HEAD');
    assert.deepEqual([head.status, head.body, head.headers['content-length']], [200, '', '2']);
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const { status, body } = await ask(server, '/health', method);
      assert.deepEqual([status, body], [200, 'OK'], method);
    }
  });

  it('keeps a connection for the next request, but not after a body', async () => {
    const server = await start(routes);
    const both = 'GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    const answers = await raw(server, both);
    assert.match(answers, /^HTTP\/1\.1 200 [\s\S]*OKHTTP\/1\.1 503 [\s\S]*upstream$/);
    const { headers, body } = await ask(server, '/health', 'POST', 'x'.repeat(1000));
    assert.deepEqual([body, headers.connection], ['OK', 'close']);
  });

  it('makes one answer at a time on a connection, and closes one on which more than the next request waits', async () => {
    let made = 0;
    let release: () => void = () => undefined;
    const server = await start({
      '/slow': async () => {
        made += 1;
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        return { status: 200, body: `answer ${made}\n` };
      },
    });
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    const slow = 'GET /slow HTTP/1.1\r\nHost: x\r\n\r\n';
    const client = connect(server.local.port, server.local.address);
    client.setEncoding('utf8');
    client.write(slow + slow);
    while (made === 0) await turn();
    for (let turns = 0; turns < 20; turns++) await turn();
    assert.equal(made, 1);
    release();
    assert.match((await once(client, 'data'))[0], /answer 1/);
    while (made === 1) await turn();
    release();
    assert.match((await once(client, 'data'))[0], /answer 2/);
    client.destroy();
    for (const requests of [3, 1_000]) assert.equal(await raw(server, slow.repeat(requests)), '');
    assert.equal(made, 2);
  });

  it('cuts an answer that takes too long to be read, however it is dribbled', { timeout: 20_000 }, async () => {
    const length = 64 * 1024 * 1024;
    const server = await start({ '/large': async () => ({ status: 200, body: 'x'.repeat(length) }) });
    const client = connect(server.local.port, server.local.address);
    let received = 0;
    client.on('error', () => undefined);
    client.on('readable', () => undefined);
    const reading = setInterval(() => {
      received += client.read(1_000)?.length ?? 0;
    }, 50);
    client.write('GET /large HTTP/1.1\r\nHost: x\r\n\r\n');
    await pause(2.5 * httpTimeoutMs);
    clearInterval(reading);
    client.removeAllListeners('readable');
    client.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    await new Promise((resolve) => client.once('close', resolve));
    assert.ok(received < length / 2, 'what the kernel had taken is all that came');
  });

  it('refuses headers beyond the bound and what is not HTTP', async () => {
    const server = await start(routes);
    const large = await raw(server, `GET /health HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(httpRequestBytesMax)}\r\n\r\n`);
    assert.match(large, /^HTTP\/1\.1 431 /);
    assert.match(await raw(server, '\0\x01garbage\r\n\r\n'), /^HTTP\/1\.1 400 /);
    assert.equal((await ask(server, '/health')).status, 200);
  });

  it('tells a client 500 and us the error when a route throws', async () => {
    const server = await start(routes);
    errors.length = 0;
    const { status, body } = await ask(server, '/broken');
    assert.deepEqual([status, body], [500, 'internal error\n']);
    assert.deepEqual(
      errors.map((error) => (error as Error).message),
      ['a bug'],
    );
  });

  it('closes the connection after what is not found and after errors, and keeps it else', async () => {
    const server = await start(routes);
    const connectionOf = async (path: string): Promise<string> =>
      /^Connection: (.*)\r$/m.exec(
        await raw(server, `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.0\r\n\r\n`),
      )![1];
    for (const path of ['/nothing', '/ready', '/broken']) assert.equal(await connectionOf(path), 'close', path);
    assert.equal(await connectionOf('/health'), 'keep-alive');
  });

  it('closes the connection that has been idle longest for one that comes when all places are taken', async () => {
    const server = await start(routes);
    const open = async (): Promise<Socket> => {
      const socket = connect(server.local.port, server.local.address);
      await once(socket, 'connect');
      return socket;
    };
    const sockets: Socket[] = [];
    for (let count = 0; count < httpConnectionsOwnMax; count++) sockets.push(await open());
    sockets[0].write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(sockets[0], 'data');
    const closed = once(sockets[1], 'close');
    assert.equal((await ask(server, '/health')).status, 200);
    await closed;
    assert.deepEqual(sockets.map(({ destroyed }) => destroyed).filter(Boolean), [true]);
    for (const socket of sockets) socket.destroy();
  });

  it('closes a connection whose request does not come whole in time, however it dribbles', async () => {
    const server = await start(routes);
    const socket = connect(server.local.port, server.local.address);
    const startedMs = performance.now();
    const dribble = setInterval(() => socket.write('X'), 100);
    socket.write('GET /health HTTP/1.1\r\n');
    socket.resume();
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.once('close', resolve));
    clearInterval(dribble);
    assert.ok(performance.now() - startedMs < 2 * httpTimeoutMs);
  });

  it('rejects a port in use with an error that makes a sentence', async () => {
    const server = await start(routes);
    const at = { address: '127.0.0.1', port: server.local.port };
    await assert.rejects(start(routes, at), (error: NodeJS.ErrnoException) => {
      assert.equal(error.code, 'EADDRINUSE');
      assert.equal(
        listenFailure(at, error),
        `cannot listen for HTTP on 127.0.0.1:${at.port}: address already in use; stop the other program or choose another port.`,
      );
      return true;
    });
  });

  it('rejects an address that the node does not have', async () => {
    const at = { address: '192.0.2.1', port: 0 };
    await assert.rejects(start(routes, at), (error: NodeJS.ErrnoException) => {
      assert.match(listenFailure(at, error), /192\.0\.2\.1:0: no interface has this address/);
      return true;
    });
  });

  it('writes IPv6 addresses in brackets, and unknown errors as they are', () => {
    const error = Object.assign(new Error('listen EWEIRD'), { code: 'EWEIRD' });
    assert.equal(
      listenFailure({ address: '::1', port: 80 }, error),
      'cannot listen for HTTP on [::1]:80: listen EWEIRD.',
    );
  });

  it('serves all addresses when it listens on the unspecified one', async () => {
    const server = await start(routes, { address: '::', port: 0 });
    const status = await new Promise((resolve, reject) => {
      get({ host: '127.0.0.1', port: server.local.port, path: '/health', agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on('error', reject);
    });
    assert.equal(status, 200);
  });

  it('gives a route what stands behind the question mark', async () => {
    const server = await start({ '/echo': async ({ query }) => ({ status: 200, body: JSON.stringify([...query]) }) });
    assert.equal((await ask(server, '/echo?seconds=2&thread=1')).body, '[["seconds","2"],["thread","1"]]');
    assert.equal((await ask(server, '/echo')).body, '[]');
    assert.equal((await ask(server, '/echo?what=?')).body, '[["what","?"]]');
  });

  it('sends a stream as it comes, and none to HEAD', async () => {
    const streams: Readable[] = [];
    const server = await start({
      '/stream': async () => {
        const rest = Readable.from(['two ', 'three']);
        streams.push(rest);
        return { status: 200, body: 'one ', rest };
      },
    });
    const { body, headers } = await ask(server, '/stream');
    assert.deepEqual([body, headers['content-length']], ['one two three', undefined]);
    assert.equal((await ask(server, '/stream', 'HEAD')).body, '');
    assert.ok(streams.every(({ destroyed }) => destroyed));
  });

  it('ends the connection where a stream fails, and the stream where the client leaves', async () => {
    errors.length = 0;
    const streams: Readable[] = [];
    const open = (): Readable => {
      const rest = new Readable({ read() {} });
      rest.push('a beginning');
      streams.push(rest);
      return rest;
    };
    const server = await start({ '/endless': async () => ({ status: 200, body: '', rest: open() }) });
    const response = await new Promise<IncomingMessage>((resolve) => {
      get({ host: server.local.address, port: server.local.port, path: '/endless', agent: false }, resolve);
    });
    await once(response, 'data');
    streams[0].destroy(new Error('it breaks'));
    const [error] = await once(response, 'error');
    assert.equal(error.code, 'ECONNRESET');
    const client = connect(server.local.port, server.local.address);
    client.write('GET /endless HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(client, 'data');
    client.destroy();
    await new Promise((resolve) => streams[1].once('close', resolve));
    assert.deepEqual(errors, [], 'neither is a bug');
  });

  it('closes: lets answers go out, drops idle connections, frees the port', async () => {
    let release: () => void = () => undefined;
    let arrived: () => void = () => undefined;
    const atRoute = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const slow: HttpRoutes = {
      '/slow': () =>
        new Promise((resolve) => {
          release = () => resolve({ status: 200, body: 'late' });
          arrived();
        }),
    };
    const server = await startHttp(loopback, slow, outside);
    const idle = raw(server, '');
    const answer = ask(server, '/slow');
    await atRoute;
    const closed = server.close();
    release();
    assert.equal((await answer).body, 'late');
    await closed;
    await idle;
    const again = createServer();
    await new Promise<void>((resolve) => again.listen(server.local.port, '127.0.0.1', resolve));
    assert.equal((again.address() as AddressInfo).port, server.local.port);
    again.close();
  });

  it('puts routes for one endpoint into one server', () => {
    const [health, ready] = [{ '/health': routes['/health'] }, { '/ready': routes['/ready'] }];
    const other = { address: '127.0.0.1', port: 2 };
    const grouped = groupRoutes([
      { at: { address: '127.0.0.1', port: 1 }, routes: health },
      { at: other, routes: health },
      { at: { address: '127.0.0.1', port: 1 }, routes: ready },
    ]);
    assert.deepEqual(grouped, [
      { at: { address: '127.0.0.1', port: 1 }, routes: { ...health, ...ready } },
      { at: other, routes: health },
    ]);
  });
});
