/**
 * The stand-in for the cluster DNS on real sockets: one port of 127.0.0.1, TCP and UDP, each question on its way for
 * so long and its answer for as long. The answer is what is true when it is sent. Questions are counted as they come.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import dnsPacket from 'dns-packet';
import { framed, newFrames, type Place } from '../real/packets.js';
import type { Cluster } from './cluster.js';
import { answer } from './kubernetes-answers.js';
import { encodeAnswer } from './messages.js';

export interface WalkStandIn extends Place {
  /** Questions that have come in, without those for the root, by which zerohop sees that the server is there. */
  readonly asked: number;
  close(): void;
}

interface StandInWish {
  readonly cluster: Cluster;
  /** Each way. */
  readonly delayMs: number;
  readonly port: number;
}

/** Rejects with the system's error where the port is taken. */
export async function startWalkStandIn({ cluster, delayMs, port }: StandInWish): Promise<WalkStandIn> {
  const sockets = new Set<Socket>();
  let asked = 0;
  const take = (bytes: Buffer, answerBytesMax: (udpBytes: number) => number, send: (answer: Buffer) => void): void => {
    const query = dnsPacket.decode(bytes);
    const [question] = query.questions ?? [];
    if (question === undefined) return;
    if (question.name !== '.') asked += 1;
    const opt = query.additionals?.find((each) => each.type === 'OPT');
    const bytesMax = answerBytesMax(Math.max(512, opt?.udpPayloadSize ?? 512));
    setTimeout(() => send(encodeAnswer(query, answer(question, cluster.now), bytesMax)), 2 * delayMs);
  };
  const server = createServer((socket) => {
    sockets.add(socket.setNoDelay(true));
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    const write = (reply: Buffer): void => {
      if (!socket.destroyed) socket.write(framed(reply));
    };
    socket.on(
      'data',
      newFrames((bytes) => take(bytes, () => 65_535, write)),
    );
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const datagrams = createSocket('udp4');
  let isOpen = true;
  datagrams.on('message', (bytes, from) =>
    take(
      bytes,
      (udpBytes) => udpBytes,
      (reply) => {
        if (isOpen) datagrams.send(reply, from.port, from.address);
      },
    ),
  );
  datagrams.bind(port, '127.0.0.1');
  await once(datagrams, 'listening');
  return {
    address: '127.0.0.1',
    port,
    get asked() {
      return asked;
    },
    close() {
      isOpen = false;
      server.close();
      datagrams.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
