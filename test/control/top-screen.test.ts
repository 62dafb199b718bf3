import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { topScreen } from '../../src/control/top-screen.js';
import { reading, watchedQuery } from './watched.js';

const plain = { isColored: false, columns: 80, rows: Number.POSITIVE_INFINITY };

describe('the screen of top', () => {
  it('has all of it in 80 columns', () => {
    const lines = topScreen(reading(), plain);
    for (const line of lines) assert.ok(line.length <= 80, `${line.length}: ${line}`);
    assert.deepEqual(lines, [
      `zerohop 0.9.0, up 1 d 2 h${'03:04:05 UTC'.padStart(55)}`,
      '12,346 queries/s  hits 97.3 %  p50 <0.25 ms  p99 3.1 ms',
      'Answers:  NOERROR 12,000/s  NXDOMAIN 346/s',
      'Asked at:  169.254.20.10 12,346/s  10.96.0.10 0/s',
      '',
      'ZONE                                       QUERIES/S    HITS       P50       P99',
      'cluster.local.                                12,000  99.0 %  <0.25 ms    2.5 ms',
      '.                                                346       -         -         -',
      '',
      'UPSTREAM                        STATE ANSWERS/S       P50       P99 OPEN SUSPECT',
      '10.96.0.10:53                      up        33    0.8 ms    4.2 ms    8       0',
      '192.0.2.1:53                     down         0         -         -    0       0',
      '',
      'TOP NAMES of 4 min (one query in 16.0 counted)                 TOP CLIENTS',
      '     8,000 web.default.svc.cluster.local. A              9,000 10.244.0.7',
      '        90 db.default.svc.cluster.local. AAAA',
      '',
      'SLOWEST of the last minute, since this command began',
      `     1.9 s ${'x'.repeat(21)}…${'x'.repeat(11)}.example. A SERVFAIL miss 10.244.0.7`,
    ]);
  });

  it('leaves out columns on a narrow terminal, and is not spread over a wide one', () => {
    for (const columns of [40, 60, 100, 120, 300]) {
      const lines = topScreen(reading(), { ...plain, columns });
      const widest = Math.max(...lines.map((line) => line.length));
      assert.ok(widest <= Math.min(columns, 120), `${widest} of ${columns}`);
    }
    const narrow = topScreen(reading(), { ...plain, columns: 10 });
    assert.ok(Math.max(...narrow.map((line) => line.length)) <= 40);
  });

  it('fits the rows: long sections get shorter first, the last ones are left out', () => {
    const zones = Array.from({ length: 40 }, (_, index) => ({ ...reading().traffic.zones[0], zone: `z${index}.` }));
    const many = reading({ traffic: { ...reading().traffic, zones } });
    for (const rows of [4, 10, 16, 24, 50]) {
      const lines = topScreen(many, { ...plain, rows });
      assert.ok(lines.length <= Math.max(rows, 4), `${lines.length} of ${rows}`);
      if (rows >= 24) assert.ok(lines.some((line) => line.startsWith('SLOWEST')));
      if (rows >= 10) assert.ok(lines.some((line) => line.startsWith('z1.')));
    }
  });

  it('says that counts are exact, what the kernel gives, and what is stale', () => {
    const { traffic, talkers } = reading();
    const text = topScreen(
      reading({
        talkers: { ...talkers, perSample: 1 },
        traffic: { ...traffic, kernelPerSecond: 5_000, stalePerSecond: 2.5 },
      }),
      plain,
    ).join('\n');
    assert.match(text, /every query counted/);
    assert.match(text, /by the kernel 5,000\/s/);
    assert.match(text, /stale 2\.5\/s/);
  });

  it('has colors, and is the same text without', () => {
    const colored = topScreen(reading(), { ...plain, isColored: true });
    assert.ok(colored.some((line) => line.includes('\x1b[31m192.0.2.1:53')));
    assert.deepEqual(colored.map(stripVTControlCharacters), topScreen(reading(), plain));
  });

  it('lets no terminal control through', () => {
    const evil = '\x1b[2J\x07\u202e';
    const { talkers, traffic } = reading();
    const lines = topScreen(
      reading({
        version: evil,
        traffic: {
          ...traffic,
          zones: [{ ...traffic.zones[0], zone: evil }],
          upstreams: [{ ...traffic.upstreams[0], address: evil }],
        },
        talkers: {
          ...talkers,
          names: [{ ...talkers.names[0], name: evil }],
          clients: [{ ...talkers.clients[0], client: evil }],
        },
        slow: [watchedQuery({ name: evil, client: evil })],
      }),
      plain,
    );
    for (const line of lines) assert.match(line, /^[\x20-\x7e…]*$/u);
  });

  it('says when it cannot know slow answers', () => {
    const lines = topScreen(reading({ slow: [], isSlowShown: false }), plain);
    assert.match(lines.at(-1)!, /^not shown: 8 commands and pages are watching/);
    assert.ok(lines.at(-1)!.length <= plain.columns);
  });
});
