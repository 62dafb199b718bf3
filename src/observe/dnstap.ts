/** The `dnstap` directives of one server block: each query and its answer are told to a collector, as two messages. */
import type { DnstapConfig, DnstapTarget } from '../config/config.js';
import type { Counters } from '../counters.js';
import type { Clock } from '../os/clock.js';
import type { Log } from '../os/log.js';
import type { Network, Stream, StreamEvents } from '../os/network.js';
import type { QueryLogRecord } from '../resolve/lane.js';
import { dnstapMessage } from './dnstap-message.js';
import { FrameStream } from './frame-stream.js';
import { compileLogFormat } from './log-format.js';

interface DnstapDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly log: Log;
  readonly counters: Counters;
}

interface Dnstap {
  /** Tells of a query that has just been answered. */
  answered(facts: QueryLogRecord): void;
  stop(): void;
}

const contentType = 'protobuf:dnstap.Dnstap';

/** Null without directives. */
export function newDnstap(configs: readonly DnstapConfig[], deps: DnstapDeps): Dnstap | null {
  if (configs.length === 0) return null;
  const { network, clock, log, counters } = deps;
  const taps = configs.map((config) => ({
    config,
    extra: compileLogFormat(config.extra ?? ''),
    stream: new FrameStream({
      ...{ name: config.socket, contentType, clock, log },
      connect: (events) => connectTo(config.to, network, events),
      dropped: () => counters.count('dnstapDropped'),
    }),
  }));
  return {
    answered(facts) {
      const responseMs = clock.wallMs();
      const times = { queryMs: responseMs - facts.durationMs, responseMs };
      for (const { config, extra, stream } of taps) {
        const settings = { ...config, extra: extra(facts) };
        stream.send(dnstapMessage('client query', facts, times, settings));
        stream.send(dnstapMessage('client response', facts, times, settings));
      }
    },
    stop() {
      for (const { stream } of taps) stream.stop();
    },
  };
}

function connectTo(to: DnstapTarget, network: Network, events: StreamEvents): Stream {
  if (to.kind === 'path') return network.connectPath(to.path, events);
  if (to.kind === 'tcp') return network.connectStream(to.endpoint, events);
  const tls = { serverName: null, material: null, isVerified: to.isVerified };
  return network.connectStream(to.endpoint, events, undefined, tls);
}
