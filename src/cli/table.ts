/** Aligned columns for people. */

export interface Column {
  readonly title: string;
  /** Numbers stand at the right. */
  readonly align?: 'left' | 'right';
}

/** The lines of a table, its head first; no line ends with blanks. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map((column, at) =>
    rows.reduce((width, row) => Math.max(width, row[at]?.length ?? 0), column.title.length),
  );
  const line = (cells: readonly string[]): string =>
    columns
      .map((column, at) =>
        column.align === 'right'
          ? (cells[at] ?? '').padStart(widths[at] ?? 0)
          : (cells[at] ?? '').padEnd(widths[at] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return [line(columns.map((column) => column.title)), ...rows.map(line)];
}
