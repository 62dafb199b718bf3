#!/usr/bin/env -S node --max-semi-space-size=1 --optimize-for-size --v8-pool-size=1 --no-maglev --no-memory-reducer --inspect-port=192.0.2.1:1024
/**
 * The entry: listens to signals, and only then has Node.js read the program (program.ts), which takes most of a start.
 * Modules that are imported by a statement would all be read before the first line of any is run.
 */
import { listenEarly } from './early-signals.js';

const early = listenEarly(process);
const { main } = await import('./program.js');
await main(early);
