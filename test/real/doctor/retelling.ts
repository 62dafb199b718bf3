/**
 * A control socket that passes everything on to another one, and changes the facts that come back: a test that would have
 * to wait for ten minutes lets them pass so.
 */
import { once } from 'node:events';
import { createConnection, createServer } from 'node:net';
import { createInterface } from 'node:readline';

export interface Retelling {
  readonly path: string;
  end(): void;
}

/** `change` gets the facts of the process behind `path` and changes them. */
export async function retell(path: string, change: (facts: Record<string, unknown>) => void): Promise<Retelling> {
  const own = `${path}.retold`;
  const server = createServer((client) => {
    const real = createConnection(path);
    client.pipe(real);
    createInterface({ input: real }).on('line', (line) => {
      const message = JSON.parse(line) as { item?: Record<string, unknown> };
      if (message.item !== undefined) change(message.item);
      client.write(`${JSON.stringify(message)}\n`);
    });
    real.on('end', () => client.end());
    for (const socket of [client, real]) socket.on('error', () => socket.destroy());
  });
  server.listen(own);
  await once(server, 'listening');
  return { path: own, end: () => server.close() };
}
