/** The demo's table: columns as wide as their widest cell, captions between the rows. Text in, lines out. */

export interface Row {
  readonly question: string;
  readonly rcode: string;
  readonly answer: string;
  readonly source: string;
  readonly microseconds: string;
}

export interface Section {
  /** One line above the rows; it says what they show. */
  readonly caption: string;
  readonly rows: readonly Row[];
}

const columns = ['question', 'rcode', 'answer', 'source', 'microseconds'] as const satisfies readonly (keyof Row)[];
const heading: Row = { question: 'QUESTION', rcode: 'RCODE', answer: 'ANSWER', source: 'SOURCE', microseconds: 'µs' };
const answerColumnsMax = 36;

/** The table's lines, without ends. Answers that are too wide are cut with an ellipsis. */
export function tableLines(sections: readonly Section[]): string[] {
  const cut = sections.map(({ caption, rows }) => ({ caption, rows: rows.map(withShortAnswer) }));
  const all = [heading, ...cut.flatMap(({ rows }) => rows)];
  const widths = columns.map((column) => Math.max(...all.map((row) => row[column].length)));
  return [
    line(heading, widths),
    ...cut.flatMap(({ caption, rows }) => ['', `# ${caption}`, ...rows.map((row) => line(row, widths))]),
  ];
}

function withShortAnswer(row: Row): Row {
  if (row.answer.length <= answerColumnsMax) return row;
  return { ...row, answer: `${row.answer.slice(0, answerColumnsMax - 1)}…` };
}

function line(row: Row, widths: readonly number[]): string {
  const cells = columns.map((column, index) =>
    column === 'microseconds' ? row[column].padStart(widths[index]) : row[column].padEnd(widths[index]),
  );
  return cells.join('  ').trimEnd();
}
