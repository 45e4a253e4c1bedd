/**
 * What `npm run compat` is made of: sections, each a body of programs that were not written for this project, run
 * natively and under the hook.
 */

export interface SectionOptions {
  /** Only what has this text in its name. */
  readonly filter: string | undefined;
  /** Where what is fetched stays from run to run, outside of the project. */
  readonly cache: string;
  /** Programs at a time. */
  readonly jobs: number;
  /** How long one program may take. */
  readonly limitMs: number;
}

export interface SectionResult {
  /** Everything ended as it is expected to. */
  readonly ok: boolean;
  /** For `--json`: goes into the file under the name of the section; no timings and no paths of the machine. */
  readonly data: unknown;
}

export interface Section {
  /** As on the command line. */
  readonly name: string;
  readonly summary: string;
  /** Prints its progress to standard error and its table to standard output. */
  readonly run: (options: SectionOptions) => Promise<SectionResult>;
}
