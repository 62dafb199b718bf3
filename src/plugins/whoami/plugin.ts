/**
 * `whoami`: tells the client about itself, as CoreDNS does, for names that no `forward` contains: its address as A or AAAA in
 * the additional section, its port and transport in an SRV record. The answer is for this client alone.
 */

import { readSwitches } from '../../config/directives/switches.js';
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
  repeats: 'all',
  read: readSwitches,
  traits: () => ({ makesAnswers: true }),
  start: (_settings, { isForwarded }) => ({ maker: whoamiMaker(isForwarded), isForClientAlone: true }),
};

/** Answers every query that is not `isForwarded`. */
function whoamiMaker(isForwarded: (question: Uint8Array) => boolean): Maker {
  return (query, { transport, remote }) => {
    const { question } = query;
    if (isForwarded(question)) return { kind: 'next' };
    const asked = askedBy(question);
    const { name } = asked;
    const behind = `0 ${className(asked.class)}`;
    const address = remote.address.replace(/%.*$/u, '');
    const records = [`${name} ${behind} ${address.includes(':') ? 'AAAA' : 'A'} ${address}`];
    // The longest names have no room for another label.
    if (question.length - 4 + transportLabelBytes <= nameBytesMax) {
      const label = transport === overTcp ? '_tcp' : '_udp';
      records.push(`${label}.${name === '.' ? '' : name} ${behind} SRV 0 0 ${remote.port} .`);
    }
    return { ...madeAnswer(query, byWhoami, { authoritative: true, additional: records }), isForClientAlone: true };
  };
}
