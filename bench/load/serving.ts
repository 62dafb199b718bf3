/**
 * A DNS server as a child process that serves: started on one core, waited for until it gives the first right
 * answer, and ended by its process id whatever happens in between.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type Finished, type Running, start } from '../../test/real/commands.js';
import type { Place } from '../../test/real/packets.js';

/** Node.js starts in a tenth of a second, and a machine that is busy with other work takes ten times that. */
const startWithinMs = 15_000;
const answerWithinMs = 100;

/** Runs `use` while the server serves; the server is ended before this returns, also when `use` throws. */
export async function whileServing<T>(
  command: readonly string[],
  { core, at, question }: { readonly core: number; readonly at: Place; readonly question: string },
  use: (pid: number) => Promise<T>,
): Promise<T> {
  const program = start(['taskset', '-c', String(core), ...command]);
  try {
    await untilAnswered(program, at, question);
    return await use(program.pid);
  } finally {
    await program.stop();
  }
}

async function untilAnswered(program: Running, at: Place, question: string): Promise<void> {
  const startedMs = performance.now();
  let ended: Finished | undefined;
  program.finished.then(
    (result) => {
      ended = result;
    },
    () => {},
  );
  while (performance.now() - startedMs < startWithinMs) {
    if (await isAnswered(at, question)) return;
    if (ended !== undefined) throw new Error(`the server ended with ${ended.status}: ${ended.stderr}${ended.stdout}`);
  }
  const said = `${program.stderr()}${program.stdout()}`;
  throw new Error(`no answer from ${at.address}:${at.port} within ${startWithinMs} ms: ${said}`);
}

/** Asks once; true for NOERROR with at least one record. */
async function isAnswered({ address, port }: Place, question: string): Promise<boolean> {
  const socket = createSocket('udp4');
  const patience = AbortSignal.timeout(answerWithinMs);
  // A refusal may come when we have stopped waiting for anything.
  socket.on('error', () => {});
  try {
    socket.connect(port, address);
    await once(socket, 'connect', { signal: patience });
    socket.send(addressQuery(question));
    const [answer] = (await once(socket, 'message', { signal: patience })) as [Buffer];
    return answer.length > 12 && (answer[3] & 0x0f) === 0 && answer.readUInt16BE(6) > 0;
  } catch {
    // Nobody listens yet, or the answer was not in time; a refusal must not make this a busy loop.
    await new Promise((resolve) => setTimeout(resolve, 20));
    return false;
  } finally {
    socket.close();
  }
}

/** `NAME IN A` with RD and id 0x2a2a, in wire form. */
export function addressQuery(name: string): Buffer {
  const labels = name.split('.').map((label) => `${String.fromCharCode(label.length)}${label}`);
  const header = Buffer.from('2a2a01000001000000000000', 'hex');
  return Buffer.concat([header, Buffer.from(`${labels.join('')}\0`, 'latin1'), Buffer.from([0, 1, 0, 1])]);
}
