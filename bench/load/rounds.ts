/**
 * Who is measured when: every subject once per round, one after another, and every second round in reverse order,
 * so that a machine that slowly warms up, or a neighbour that comes and goes, favours nobody.
 */
export interface Subject<Sample> {
  readonly name: string;
  /** One measurement with a fresh process. */
  measure(round: number): Promise<Sample>;
}

/** The samples of each subject, in the order of the rounds. The first failure ends it. */
export async function runRounds<Sample>(
  subjects: readonly Subject<Sample>[],
  rounds: number,
  measured: (round: number, subject: string, sample: Sample) => void,
): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>(subjects.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const subject of inOrder(subjects, round)) {
      const sample = await subject.measure(round);
      samples.get(subject.name)!.push(sample);
      measured(round, subject.name, sample);
    }
  }
  return samples;
}

function inOrder<T>(subjects: readonly T[], round: number): readonly T[] {
  return round % 2 === 0 ? subjects : subjects.toReversed();
}
