/**
 * Ports of the loopback address for the demo: the wanted one if nobody has it, else the next free. Binding alone does
 * not tell, because zerohop's own sockets share their ports with others that allow it; so it also knocks.
 */
import type { Clock } from '../os/clock.js';
import type { Endpoint, Network } from '../os/network.js';

interface PortParts {
  readonly network: Network;
  readonly clock: Clock;
}

const portsTriedMax = 100;
/** A loopback connect is answered or refused at once; what takes longer is not a free port. */
const knockTimeoutMs = 500;

/** The first free port of `at.address`, for UDP and TCP, from `at.port` on. Throws an Error when a hundred are taken. */
export async function freePort(parts: PortParts, at: Endpoint): Promise<number> {
  for (let port = at.port; port < at.port + portsTriedMax && port <= 65535; port++) {
    if (await isFree(parts, { address: at.address, port })) return port;
  }
  throw new Error(`No port of ${at.address} from ${at.port} on is free; stop the programs that use them.`);
}

async function isFree({ network, clock }: PortParts, at: Endpoint): Promise<boolean> {
  if (await somebodyListens({ network, clock }, at)) return false;
  try {
    const listener = await network.listenStreams(at, () => ({ data() {}, ended() {}, closed() {} }));
    listener.close();
    const datagrams = await network.openDatagrams(at, { datagram() {}, error() {} });
    datagrams.close();
    return true;
  } catch {
    return false;
  }
}

function somebodyListens({ network, clock }: PortParts, at: Endpoint): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = clock.after(knockTimeoutMs, () => done(true));
    const stream = network.connectStream(at, {
      opened: () => done(true),
      data() {},
      ended() {},
      closed: () => done(false),
    });
    function done(listens: boolean): void {
      timer.stop();
      resolve(listens);
      stream.destroy();
    }
  });
}
