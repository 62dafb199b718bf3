/** Families about answers that the kernel gives by itself; none without `-kernellane`. */
import { counter, type Family, gauge, labelText, type Sample, sample } from './exposition.js';
import type { KernelLaneNumbers, Scrape } from './metrics-source.js';

export const laneFamilies: readonly Family<Scrape>[] = [
  gauge(
    'zerohop_kernel_lane',
    'Whether the kernel gives cached answers by itself: 1, or 0 with the reason why not.',
    ofLane(({ isOn, why }) => [sample(labelText({ why }), isOn ? 1 : 0)]),
  ),
  counter(
    'zerohop_kernel_answers_total',
    'Answers given by the kernel, stale ones while no process was there; also in coredns_dns_*.',
    ofLane(({ answers, stale }) => [
      sample(labelText({ stale: 'false' }), answers - stale),
      sample(labelText({ stale: 'true' }), stale),
    ]),
  ),
  counter(
    'zerohop_kernel_passed_total',
    'Queries that the kernel has passed on to the process, by cause.',
    ofLane(({ passed }) => Object.entries(passed).map(([cause, count]) => sample(labelText({ cause }), count))),
  ),
  counter(
    'zerohop_kernel_refreshes_total',
    'Answers of the kernel in use shortly before their end: asked for anew, or left to end for lack of budget.',
    ofLane(({ refreshes, refreshesDenied }) => [
      sample(labelText({ result: 'asked' }), refreshes),
      sample(labelText({ result: 'denied' }), refreshesDenied),
    ]),
  ),
  gauge(
    'zerohop_kernel_entries',
    'Answers that the kernel can give.',
    ofLane(({ entries }) => [sample('', entries)]),
  ),
  gauge(
    'zerohop_kernel_links',
    'Interfaces at which the kernel answers, and those at which it must not.',
    ofLane(({ links, linksRefused }) => [
      sample(labelText({ state: 'attached' }), links),
      sample(labelText({ state: 'refused' }), linksRefused),
    ]),
  ),
];

function ofLane(samples: (numbers: KernelLaneNumbers) => Sample[]): Family<Scrape>['samples'] {
  return ({ source }) => {
    const numbers = source.kernelLane?.() ?? null;
    return numbers === null ? [] : samples(numbers);
  };
}
