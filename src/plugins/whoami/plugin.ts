/**
 * Who asks, as CoreDNS's `whoami` tells it: no answer records, but behind them the client's address, and its port and
 * transport as the name and data of an SRV record. It stands last, where no `forward` takes the name, and speaks to
 * its asker alone.
 */

import { readSwitch } from '../../config/directives/switches.js';
import { newAnswerer, overTcp } from '../../counters.js';
import { className } from '../../dns/names.js';
import { askedBy } from '../../dns/query.js';
import { nameBytesMax } from '../../limits.js';
import type { Maker } from '../../resolve/route.js';
import { madeAnswer, type Plugin } from '../plugin.js';

export const byWhoami = newAnswerer('whoami');

/** A length byte and `_udp` or `_tcp`. */
const transportLabelBytes = 5;

export const whoami: Plugin<true> = {
  name: 'whoami',
  repeats: 'last',
  read: ([directive]) => readSwitch(directive),
  traits: () => ({ makesAnswers: true }),
  start: (_settings, { isForwarded }) => ({ maker: whoamiMaker(isForwarded), isForClientAlone: true }),
};

/** Answers every question that is not `isForwarded`, of any type. */
function whoamiMaker(isForwarded: (question: Uint8Array) => boolean): Maker {
  return (query, { transport, remote }) => {
    const { question } = query;
    if (isForwarded(question)) return { kind: 'next' };
    const asked = askedBy(question);
    const { name } = asked;
    const behind = `0 ${className(asked.class)}`;
    const address = remote.address.replace(/%.*$/u, '');
    const records = [`${name} ${behind} ${address.includes(':') ? 'AAAA' : 'A'} ${address}`];
    // The longest names leave no room for one more label.
    if (question.length - 4 + transportLabelBytes <= nameBytesMax) {
      const label = transport === overTcp ? '_tcp' : '_udp';
      records.push(`${label}.${name === '.' ? '' : name} ${behind} SRV 0 0 ${remote.port} .`);
    }
    return { ...madeAnswer(query, byWhoami, { authoritative: true, additional: records }), isForAskerAlone: true };
  };
}
