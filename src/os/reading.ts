/** Files that may be large: read by threads of Node.js, so that the event loop looks after everything else meanwhile. */
import { open } from 'node:fs/promises';

/** The first `bytesMax` bytes of a file, in pieces; undefined when it cannot be read. */
export type ReadPieces = (path: string, bytesMax: number) => Promise<readonly Uint8Array[] | undefined>;

/** So much is copied, understood or digested in a millisecond or two. */
const pieceBytes = 256 * 1024;

export const readPieces: ReadPieces = async (path, bytesMax) => {
  try {
    const file = await open(path, 'r');
    try {
      const pieces: Uint8Array[] = [];
      for (let left = bytesMax; left > 0; ) {
        const piece = new Uint8Array(Math.min(left, pieceBytes));
        const { bytesRead } = await file.read(piece, 0, piece.length);
        if (bytesRead === 0) break;
        pieces.push(piece.subarray(0, bytesRead));
        left -= bytesRead;
      }
      return pieces;
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
};
