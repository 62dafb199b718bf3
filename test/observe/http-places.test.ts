import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { httpConnectionsMax, httpConnectionsOwnMax, httpConnectionsPerAddressMax } from '../../src/limits.js';
import { Places } from '../../src/observe/http-places.js';

class Connection {
  isWorking = false;
  isClosed = false;
  close(): void {
    this.isClosed = true;
  }
}

function newFixture() {
  const places = new Places<Connection>();
  const enter = (address: string | null): Connection => {
    const connection = new Connection();
    places.enter(connection, address);
    return connection;
  };
  const fill = (address: string | null, count: number): Connection[] =>
    Array.from({ length: count }, () => enter(address));
  return { places, enter, fill };
}

const closed = (connections: readonly Connection[]): number[] =>
  connections.flatMap(({ isClosed }, index) => (isClosed ? [index] : []));

describe('places', () => {
  it('let one address have a few, of which the idlest goes first', () => {
    const { places, enter, fill } = newFixture();
    const few = fill('10.244.0.7', httpConnectionsPerAddressMax);
    places.used(few[0], '10.244.0.7');
    const newcomer = enter('10.244.0.7');
    assert.deepEqual(closed(few), [1]);
    assert.equal(newcomer.isClosed, false);
    assert.equal([...places].length, httpConnectionsPerAddressMax);
  });

  it('close one that waits for its answer only where all do', () => {
    const { enter, fill } = newFixture();
    const few = fill('10.244.0.7', httpConnectionsPerAddressMax);
    for (const connection of few) connection.isWorking = connection !== few[3];
    enter('10.244.0.7').isWorking = true;
    assert.deepEqual(closed(few), [3]);
    enter('10.244.0.7');
    assert.deepEqual(closed(few), [0, 3]);
  });

  it('keep places for the host, however many addresses come', () => {
    const { places, fill } = newFixture();
    const own = fill(null, httpConnectionsOwnMax);
    for (let pod = 0; pod < 100; pod++) fill(`10.244.0.${pod}`, httpConnectionsPerAddressMax);
    assert.deepEqual(closed(own), []);
    assert.equal([...places].length, httpConnectionsOwnMax + httpConnectionsMax);
    fill(null, 1);
    assert.deepEqual(closed(own), [0]);
  });

  it('take from the address that has most when all are full', () => {
    const { enter, fill } = newFixture();
    const one = enter('10.0.0.9');
    for (let pod = 0; pod < 7; pod++) fill(`10.244.0.${pod}`, httpConnectionsPerAddressMax);
    const last = fill('10.244.0.7', httpConnectionsPerAddressMax - 1);
    const newcomers = [enter('10.0.0.10'), enter('10.0.0.11')];
    assert.deepEqual(closed([one, ...newcomers, ...last]), []);
  });

  it('are free again when a connection leaves, once', () => {
    const { places, fill } = newFixture();
    const few = fill('10.244.0.7', httpConnectionsPerAddressMax);
    places.leave(few[4], '10.244.0.7');
    places.leave(few[4], '10.244.0.7');
    fill('10.244.0.7', 1);
    assert.deepEqual(closed(few), []);
    for (const connection of [...places]) places.leave(connection, '10.244.0.7');
    assert.equal([...places].length, 0);
  });
});
