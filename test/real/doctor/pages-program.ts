/**
 * A program that serves pages of text as CoreDNS and kube-proxy do: `node pages-program.js ADDRESS:PORT FILE …`. The
 * JSON file behind an address is read for every request, so a test changes pages while the program runs: by path, the
 * status and the text. `{1200+35}` in a text is a number that is 1200 at the start and grows by 35 each second.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

export type Pages = Readonly<Record<string, { readonly status: number; readonly text: string }>>;

const started = process.hrtime.bigint();
const words = process.argv.slice(2);
for (let at = 0; at + 1 < words.length; at += 2) serve(words[at], words[at + 1]);

function serve(place: string, file: string): void {
  const [address, port] = place.split(':');
  const server = createServer((request, response) => {
    const pages = JSON.parse(readFileSync(file, 'utf8')) as Pages;
    const page = pages[request.url ?? ''] ?? { status: 404, text: '404 page not found\n' };
    response.writeHead(page.status, { 'content-type': 'text/plain; charset=utf-8' });
    response.end(
      page.text.replace(/\{(\d+)\+(\d+(?:\.\d+)?)\}/g, (_, from, rate) => numberNow(Number(from), Number(rate))),
    );
  });
  server.listen(Number(port), address, () => process.stdout.write(`${place}\n`));
}

function numberNow(from: number, perSecond: number): string {
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  return String(Math.round((from + perSecond * seconds) * 100) / 100);
}
