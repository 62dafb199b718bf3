/** Whether this machine's kernel takes the lane, for the `skip` of tests that need it: false, or the reason why not. */
import { release } from 'node:os';
import { tryLane } from '../../src/lane/try.js';
import { calls, skip } from '../os/loopback-sockets.js';

export const laneIsMissing: string | false = skip || reason();

function reason(): string | false {
  const { isPossible, sentence } = tryLane({ calls }, release(), () => 0);
  return isPossible ? false : sentence;
}
