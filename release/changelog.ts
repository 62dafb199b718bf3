/** CHANGELOG.md in the form of keepachangelog.com: reads a version's entry, and makes one of what is unreleased. */

export interface Entry {
  /** `Unreleased` or a version. */
  readonly name: string;
  /** `2026-11-30`; undefined for what is unreleased. */
  readonly date: string | undefined;
  readonly text: string;
}

/** The entries, newest first, without the links at the end of the file. */
export function entriesOf(changelog: string): Entry[] {
  return changelog
    .replace(/^\[.+?\]: \S+\n?/gmu, '')
    .split(/^## /mu)
    .slice(1)
    .map((part) => {
      const [heading, ...lines] = part.split('\n');
      const [, name = heading, date] = /^\[(.+?)\](?: - (\d{4}-\d{2}-\d{2}))?$/u.exec(heading) ?? [];
      return { name, date, text: lines.join('\n').trim() };
    });
}

/** The changelog in which what was unreleased is this version's; as it was if it has the version already. */
export function released(changelog: string, version: string, date: string): string {
  const [newest, ...older] = entriesOf(changelog);
  if (older.some(({ name }) => name === version)) return changelog;
  if (newest?.name !== 'Unreleased') throw new Error('CHANGELOG.md has no heading "## [Unreleased]" on top');
  if (newest.text === '')
    throw new Error('CHANGELOG.md says nothing under "## [Unreleased]"; write what users see, then npm run stamp');
  return changelog
    .replace('## [Unreleased]\n', `## [Unreleased]\n\n## [${version}] - ${date}\n`)
    .replace(/^(\[Unreleased\]: (.+)\/compare\/)(\S+)\.\.\.HEAD$/mu, (_, start, page, before) =>
      [`${start}v${version}...HEAD`, `[${version}]: ${page}/compare/${before}...v${version}`].join('\n'),
    );
}
