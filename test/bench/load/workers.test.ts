import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hitRatioIn, withWorkers } from '../../../bench/load/workers.js';
import { repositoryPath } from '../../corpus/repository.js';

test('the hit ratio is hits by requests, of all zones and kinds', () => {
  const metrics = `# HELP coredns_cache_hits_total The count of cache hits.
coredns_cache_hits_total{server="dns://:53",type="success"} 80
coredns_cache_hits_total{server="dns://:53",type="denial"} 10
coredns_cache_requests_total{server="dns://:53"} 100
coredns_cache_requests_total_other 7
`;
  assert.equal(hitRatioIn(metrics), 0.9);
});

test('the number of threads is a flag', () => {
  assert.equal(withWorkers(repositoryPath('src', 'main.ts'), 4).name, '-workers 4');
});
