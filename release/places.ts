/**
 * Every place that names the version, the image or the project's page. They are edited in package.json alone: `version`,
 * `config.image`, `homepage`. stamp.ts writes all other places from it, and test/release/ holds them to it.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Stamped {
  readonly version: string;
  /** Registry and repository, without a tag. */
  readonly image: string;
  /** The project's page; its path ends in `/zerohop`. */
  readonly homepage: string;
}

type Rule = readonly [pattern: RegExp, text: (stamped: Stamped, ...groups: string[]) => string];

const semver = String.raw`\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?`;

/** As in a command, a manifest or an annotation: the image with a version for a tag. */
const imageWithTag: Rule = [
  new RegExp(String.raw`(?<![\w./-])(?:[\w.:-]+/)*zerohop:${semver}`, 'gu'),
  ({ image, version }) => `${image}:${version}`,
];

const rules: readonly (readonly [files: RegExp, rules: readonly Rule[]])[] = [
  [
    /^(?:README|docs\/.*)\.md$/u,
    // The registry of a page's commands is an example.
    [
      [new RegExp(`(?<=zerohop:)${semver}`, 'gu'), ({ version }) => version],
      [new RegExp(`zerohop ${semver} serves`, 'gu'), ({ version }) => `zerohop ${version} serves`],
    ],
  ],
  [
    /^package\.json$/u,
    [
      [/(?<=^ {2}"bugs": ").*(?=")/mu, ({ homepage }) => `${homepage}/issues`],
      [/(?<=^ {4}"url": ").*(?=")/mu, ({ homepage }) => `git+${homepage}.git`],
    ],
  ],
  [
    /^CHANGELOG\.md$/u,
    [[/^(\[.+?\]: )\S+?(?=\/(?:compare|releases)\/)/gmu, ({ homepage }, label) => `${label}${homepage}`]],
  ],
  [/^Dockerfile$/u, [[/^ARG VERSION=.*$/mu, ({ version }) => `ARG VERSION=${version}`]]],
  [
    /^deploy\/chart\/Chart\.yaml$/u,
    [
      [/^version: .*$/mu, ({ version }) => `version: ${version}`],
      [/^appVersion: .*$/mu, ({ version }) => `appVersion: ${version}`],
      imageWithTag,
      [/https:\/\/[^\s"]+?\/zerohop(?=[/\s"])/gu, ({ homepage }) => homepage],
    ],
  ],
  [
    /^deploy\/chart\/values\.yaml$/u,
    [
      [/(?<=^image:\n(?:[ #].*\n)*? {2}repository: ).*$/mu, ({ image }) => image],
      // An empty tag is the chart's appVersion.
      [/(?<=^image:\n(?:[ #].*\n|\n)*? {2}tag: )(?!"").*$/mu, ({ version }) => version],
    ],
  ],
  [
    // Its table of values, which is made of values.yaml.
    /^deploy\/chart\/README\.md$/u,
    [[/(?<=^\| `image\.repository` \| `").*?(?="`)/mu, ({ image }) => image]],
  ],
  [
    /^deploy\/(?:base|components\/image)\/kustomization\.yaml$/u,
    [
      [/(?<=images: \[\{ name: )[^, ]+(?=, newName: )/gu, ({ image }) => image],
      [/(?<=^ {2}- name: zerohop\n {4}newName: ).*$/mu, ({ image }) => image],
      [/(?<=^ {2}- name: zerohop\n(?: {4}.*\n)*? {4}newTag: ).*$/mu, ({ version }) => version],
    ],
  ],
];

/** What package.json says. */
export function stampedBy(root: string): Stamped {
  const { version, config, homepage } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  // By this name the other places are found.
  for (const [key, value] of Object.entries({ 'config.image': config.image, homepage })) {
    if (!String(value).endsWith('/zerohop')) throw new Error(`package.json: ${key} must end in /zerohop`);
  }
  return { version, image: config.image, homepage };
}

/** The files that are not as package.json says, with the text that they should have. */
export function unstamped(root: string): ReadonlyMap<string, string> {
  const stamped = stampedBy(root);
  const wrong = new Map<string, string>();
  for (const file of filesIn(root)) {
    const before = readFileSync(join(root, file), 'utf8');
    let after = before;
    for (const [files, fileRules] of rules) {
      if (!files.test(file)) continue;
      for (const [pattern, text] of fileRules)
        after = after.replace(pattern, (_, ...groups) => text(stamped, ...groups));
    }
    if (after !== before) wrong.set(file, after);
  }
  return wrong;
}

function filesIn(root: string): string[] {
  const folders = ['docs', 'deploy'].filter((folder) => existsSync(join(root, folder)));
  const below = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1)),
  );
  return ['README.md', 'CHANGELOG.md', 'Dockerfile', 'package.json', ...below].filter((file) =>
    rules.some(([files]) => files.test(file)),
  );
}
