/** A thread without an event loop, as those that answer: it works a while, and waits a while in a call. */
const wait = new Int32Array(new SharedArrayBuffer(4));

function spinOnAndOn(): number {
  let sum = 0;
  for (let index = 0; index < 1e6; index++) sum += Math.sqrt(index);
  return sum;
}

for (;;) {
  spinOnAndOn();
  Atomics.wait(wait, 0, 0, 5);
}
