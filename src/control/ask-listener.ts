/** Asks the running cache as a pod does: one query over UDP, and over TCP where the answer does not fit. */
import { formatEndpoint } from '../config/addresses.js';
import { FrameReader, frameHeaderBytes } from '../dns/frame.js';
import { rcodeName } from '../dns/names.js';
import { isReplyTo, ownQuery } from '../dns/own-queries.js';
import { type RecordText, recordTexts } from '../dns/record-text.js';
import { flagTc, messageFlags, messageRcode, setU16 } from '../dns/wire.js';
import { headerBytes, listenerAnswerMs, lookupRecordsMax, udpBytesDefault } from '../limits.js';
import { isWildcard } from '../os/addresses.js';
import type { Clock } from '../os/clock.js';
import type { Endpoint, Network } from '../os/network.js';
import type { Random } from '../os/random.js';

export interface ListenerAskDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
}

export type ListenerAnswer =
  | {
      readonly ok: true;
      readonly server: string;
      readonly transport: 'udp' | 'tcp';
      readonly rcode: string;
      readonly tookMs: number;
      readonly records: readonly RecordText[];
    }
  | { readonly ok: false; readonly sentence: string };

/** `question` is in wire form. A listener on all addresses is asked on the loopback. */
export async function askListener(
  deps: ListenerAskDeps,
  listener: Endpoint,
  question: Uint8Array,
): Promise<ListenerAnswer> {
  const { clock, random } = deps;
  const at = reachableEndpoint(listener);
  const query = ownQuery({ question, recursionDesired: true, checkingDisabled: false, dnssecOk: false });
  setU16(query, 0, random.below(2 ** 16));
  // Of the OPT, behind the root's name and the type.
  setU16(query, headerBytes + question.length + 3, udpBytesDefault);
  const beganAtMs = clock.nowMs();
  let transport: 'udp' | 'tcp' = 'udp';
  let answer = await askOverUdp(deps, at, query);
  if (answer instanceof Uint8Array && (messageFlags(answer) & flagTc) !== 0) {
    transport = 'tcp';
    answer = await askOverTcp(deps, at, query);
  }
  const server = formatEndpoint(at);
  if (!(answer instanceof Uint8Array)) {
    const sentence = `${server} gives no answer over ${transport.toUpperCase()}: ${answer.why}.`;
    return { ok: false, sentence };
  }
  const records = recordTexts(answer, lookupRecordsMax);
  const rcode = rcodeName(messageRcode(answer));
  return { ok: true, server, transport, rcode, tookMs: clock.nowMs() - beganAtMs, records };
}

function reachableEndpoint({ address, port }: Endpoint): Endpoint {
  if (!isWildcard(address)) return { address, port };
  return { address: '127.0.0.1', port };
}

/** The whole message, a copy; or why there is none. */
type ListenerReply = Uint8Array | { readonly why: string };

function askOverUdp({ network, clock }: ListenerAskDeps, at: Endpoint, query: Uint8Array): Promise<ListenerReply> {
  return new Promise((resolve) => {
    const socket = network.connectDatagrams(at, {
      datagram(bytes) {
        if (isReplyTo(bytes, query)) done(Uint8Array.from(bytes));
      },
      error: (error) => done({ why: error.message }),
    });
    const timer = clock.after(listenerAnswerMs, () => done(tooLate));
    socket.send(query, at);

    function done(asked: ListenerReply): void {
      timer.stop();
      socket.close();
      resolve(asked);
    }
  });
}

function askOverTcp({ network, clock }: ListenerAskDeps, at: Endpoint, query: Uint8Array): Promise<ListenerReply> {
  return new Promise((resolve) => {
    const reader = new FrameReader();
    const stream = network.connectStream(at, {
      opened() {
        const frame = new Uint8Array(frameHeaderBytes + query.length);
        setU16(frame, 0, query.length);
        frame.set(query, frameHeaderBytes);
        stream.write(frame);
      },
      data: (bytes) =>
        reader.push(bytes, (message) => {
          if (isReplyTo(message, query)) done(Uint8Array.from(message));
        }),
      ended: () => done({ why: 'it closed the connection' }),
      closed: (error) => done({ why: error?.message ?? 'it closed the connection' }),
    });
    const timer = clock.after(listenerAnswerMs, () => done(tooLate));

    function done(asked: ListenerReply): void {
      timer.stop();
      stream.destroy();
      resolve(asked);
    }
  });
}

const tooLate = { why: `nothing came within ${listenerAnswerMs / 1_000} s` };
