/** The open UDP and TCP listeners. A reload opens new ones before it closes old ones, and leaves others alone. */
import type { TimeoutsConfig } from '../config/config.js';
import type { Counters } from '../counters.js';
import { addressFreeMs } from '../limits.js';
import type { Clock } from '../os/clock.js';
import type { Endpoint, Network } from '../os/network.js';
import { raiseOpenFiles } from '../os/open-files.js';
import { toEach } from '../scheduling/each.js';
import type { KeepAnswer, Refresh, Refuse, Serve } from './client.js';
import { openTcpListener, type TcpDeps, type TcpListener } from './tcp.js';
import { TcpPlaces } from './tcp-places.js';
import { TcpTurns } from './tcp-turns.js';
import { openUdpListener, type UdpListener } from './udp-portable.js';

interface ListenersDeps<Table = unknown> {
  readonly network: Network;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly openUdp?: ((wanted: WantedListener<Table>) => Promise<UdpListener>) | undefined;
}

export interface WantedListener<Table = unknown> {
  readonly key: string;
  readonly at: Endpoint;
  /** A reload may change them. */
  readonly timeouts: () => TimeoutsConfig;
  readonly serve: Serve;
  /** For the workers: the current table, and where refreshes, overload and answers for the cache go. */
  readonly table: () => Table;
  readonly refresh: Refresh;
  readonly refuse: Refuse;
  readonly keep: KeepAnswer;
}

interface OpenListener {
  readonly udp: UdpListener;
  readonly tcp: TcpListener;
}

export interface Listeners<Table = unknown> {
  /** Opens those that are not open yet; on an error closes what it has opened and rejects with a ListenError. */
  open(wanted: readonly WantedListener<Table>[]): Promise<void>;
  /** Closes all others after answering the queries they have taken over TCP. */
  keepOnly(keys: ReadonlySet<string>): void;
  /** The bound addresses with real ports, in the order of opening. */
  endpoints(): readonly Endpoint[];
  readonly tcpClients: number;
  /** Stops accepting, answers what is in flight, closes everything. */
  drain(done: () => void): void;
}

export class ListenError extends Error {}

export function newListeners<Table>(deps: ListenersDeps<Table>): Listeners<Table> {
  const open = new Map<string, OpenListener>();
  /** Listeners that still answer queries they have taken, and the callbacks for their end. */
  const closing = new Map<string, { readonly listener: OpenListener; readonly whenGone: (() => void)[] }>();
  const shared = { ...deps, tcpPlaces: new TcpPlaces(), tcpTurns: new TcpTurns(() => deps.clock.nowMs()) };
  const openUdp = deps.openUdp ?? (({ at, serve }) => openUdpListener(deps, at, serve));

  async function openAll(wanted: readonly WantedListener<Table>[]): Promise<void> {
    const opened: string[] = [];
    try {
      for (const each of wanted) {
        if (open.has(each.key)) continue;
        await freed(each.key);
        open.set(each.key, await openBoth(shared, each, openUdp));
        opened.push(each.key);
      }
    } catch (error) {
      toEach(opened, (key) => closeOne(key, () => {}));
      throw error;
    }
  }

  function closeOne(key: string, done: () => void): void {
    const listener = open.get(key)!;
    const whenGone: (() => void)[] = [done];
    open.delete(key);
    closing.set(key, { listener, whenGone });
    listener.tcp.drain(() =>
      listener.udp.drain(() => {
        closing.delete(key);
        toEach(whenGone, (tell) => tell());
      }),
    );
  }

  /** Resolves when the address, if it was given up a moment ago, is free: after its last answer or `addressFreeMs`. */
  function freed(key: string): Promise<void> {
    return new Promise((resolve) => {
      const last = closing.get(key);
      if (last === undefined) return resolve();
      const late = deps.clock.after(addressFreeMs, () => {
        for (let left = last.listener.tcp.clients; left > 0; left--) deps.counters.count('tcpClosedSlow');
        last.listener.tcp.close();
        last.listener.udp.close();
        resolve();
      });
      last.whenGone.push(() => {
        late.stop();
        resolve();
      });
    });
  }

  return {
    open: openAll,
    keepOnly(keys) {
      const gone = [...open].filter(([key]) => !keys.has(key));
      toEach(gone, ([key, { udp }]) => {
        // At once: UDP does not wait for the last TCP client.
        udp.drain(() => {});
        closeOne(key, () => {});
      });
    },
    endpoints: () => [...open.values()].map(({ udp }) => udp.local),
    get tcpClients() {
      return shared.tcpPlaces.taken;
    },
    drain(done) {
      let left = open.size;
      if (left === 0) return done();
      toEach([...open.keys()], (key) => {
        closeOne(key, () => {
          if (--left === 0) done();
        });
      });
    },
  };
}

async function openBoth<Table>(
  deps: TcpDeps,
  wanted: WantedListener<Table>,
  openUdp: (wanted: WantedListener<Table>) => Promise<UdpListener>,
): Promise<OpenListener> {
  const { at, timeouts, serve } = wanted;
  try {
    const udp = await openUdp(wanted);
    try {
      const there = { address: at.address, port: udp.local.port };
      const tcp = await openTcpListener({ ...deps, lending: udp.lending }, there, timeouts, serve);
      return { udp, tcp };
    } catch (error) {
      udp.close();
      throw error;
    }
  } catch (error) {
    throw new ListenError(whyNot(at, error as NodeJS.ErrnoException));
  }
}

function whyNot({ address, port }: Endpoint, error: NodeJS.ErrnoException): string {
  const where = address === '::' ? `port ${port} on all addresses` : `${address} port ${port}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return `cannot listen on ${where}: address already in use; stop the other process, or change the port or the bind directive.`;
    case 'EACCES':
    case 'EPERM':
      return `cannot listen on ${where}: not permitted; run as root, add the capability NET_BIND_SERVICE, or use a port above 1023.`;
    case 'EADDRNOTAVAIL':
      return `cannot listen on ${where}: no interface has this address; add it to an interface, or change -localip or the bind directive.`;
    case 'EMFILE':
      return `cannot listen on ${where}: too many open files; ${raiseOpenFiles()}.`;
    default:
      return `cannot listen on ${where}: ${error.message}.`;
  }
}
