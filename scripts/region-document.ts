/**
 * The text of docs/region-format.md, from the layouts in src/layout.
 *
 * Each file of src/layout has its section here; a layout that is in none, or in two, is an exception, so that a new one
 * can not stay undocumented.
 */
import {
  BLOCK_BYTES,
  BLOCK_PAYLOAD_BYTES,
  BindingState,
  FORMAT_VERSION,
  fieldSize,
  type Layout,
  LINK_AT,
  LinkFormat,
  PORT_BLOCKS_EACH_MAX,
  PORT_GROUP_PORTS,
  PORT_GROUPS,
  PROCESS_BLOCKS,
  ProcessState,
  RecordType,
  REGION_MAGIC,
  SocketState,
} from '../src/layout';
import * as blocks from '../src/layout/blocks';
import * as linkFile from '../src/layout/link-file';
import * as processFile from '../src/layout/process-file';
import * as records from '../src/layout/records';
import * as regionFile from '../src/layout/region-file';
import { allLayouts, isLayout } from './layout-snapshot';

interface Section {
  readonly title: string;
  readonly lines: readonly string[];
  readonly layouts: readonly Layout[];
  readonly values?: Readonly<Record<string, Readonly<Record<string, number | string>>>>;
}

const SECTIONS: readonly Section[] = [
  {
    title: 'Blocks',
    lines: [
      'The unit in which everything but a mapped log is published: ' +
        `${BLOCK_BYTES} bytes, of which ${BLOCK_PAYLOAD_BYTES} are payload. A block is`,
      'written whole by its one writer. ' +
        'A reader that finds a wrong CRC or index has caught it half-written: it reads again.',
    ],
    layouts: layoutsOf(blocks),
  },
  {
    title: 'File `region`',
    lines: [
      `One block, put in place in one step (\`link\`). ` +
        `Its magic is \`${REGION_MAGIC}\`, its version ${FORMAT_VERSION}.`,
    ],
    layouts: layoutsOf(regionFile),
  },
  {
    title: 'Files `processes/N`',
    lines: [
      'Blocks. All that process N (a thread with its own call library) says about itself, ' +
        'readable after its death. Ports and ranges',
      'lie in the bindings block; those for which it has no room in port blocks, ' +
        `which are for ${PORT_GROUP_PORTS} neighbouring ports each (a group):`,
      `block n of group g is block \`ports\` + n * ${PORT_GROUPS} + g, n is at most ${PORT_BLOCKS_EACH_MAX - 1}. ` +
        'What no process writes is a hole in the file.',
    ],
    layouts: layoutsOf(processFile),
    values: {
      'Which block holds what (`PROCESS_BLOCKS`; `sockets` and `ports` are the first of many)': PROCESS_BLOCKS,
      'States of a process (`ProcessState`)': ProcessState,
      'States of a binding (`BindingState`)': BindingState,
      'States of a socket (`SocketState`)': SocketState,
    },
  },
  {
    title: 'Files `links/A-B` and `links/A-B.N`',
    lines: [
      'The log from process A to process B, and how far A has read the log `B-A`. ' +
        'Block 0 is an ordinary block and names the',
      'two processes; in a log of frames a status block and frames at multiples of 4096 bytes follow. ' +
        'A ring, its words and',
      'data, lies behind the same block 0 in a file of its own, `links/A-B.N`. ' +
        'B removes that name when it has mapped the file',
      'and goes on with it: what has no name can not be cut short under those who have it mapped.',
    ],
    layouts: layoutsOf(linkFile),
    values: { 'Formats (`LinkFormat`)': LinkFormat, 'Where the parts begin, bytes (`LINK_AT`)': LINK_AT },
  },
  {
    title: 'Records in a log',
    lines: [
      'A header, a payload, padding to 8 bytes. Each is for one socket of the reading process. ' +
        'Where two layouts could be',
      'meant, the type of the record tells which.',
    ],
    layouts: layoutsOf(records),
    values: { 'Types of records (`RecordType`)': RecordType },
  },
];

const MAP = [
  '| file | one per | holds | writer |',
  '| --- | --- | --- | --- |',
  '| `region` | region | format version and limits, in one block | its creator, once |',
  '| `processes/N` | process (thread) | identity, heartbeat, bound ports, sockets, in blocks | process N |',
  '| `processes/N.dead` | process of another host whose lease ran out | ' +
    'nothing: its name is the verdict, and tells N if it was only stopped | who saw it, once |',
  '| `links/A-B` | ordered pair of processes that talk | the log from A to B | process A |',
  '| `links/A-B.N` | ring, until B has mapped it | the memory of the log | process A |',
  '| `bells/N` | process | ' + 'liveness FIFO: what links with N writes its number; no reader: N is gone | anyone |',
  '| `bells/A-B` | ordered pair of processes that talk | ' +
    'FIFO: A wakes B; its end of file tells B that A is gone | process A |',
];

/** The whole document. */
export function regionDocument(): string {
  checkComplete();
  return [
    '# The format of a region',
    '',
    '<!-- Generated from src/layout by `npm run docs`; do not edit. -->',
    '',
    `Format version ${FORMAT_VERSION}. A region is a directory. ` +
      'Every file in it has exactly one writer, so nothing needs a lock and',
    'a process maps the files of its peers read-only. Integers are little endian; ' +
      'a `u64` holds at most 53 bits; `text` is',
    'UTF-8 padded with zeros. `creator` fields are written once, before anybody else looks; ' +
      '`owner` is the one writer of the',
    'file, `sender` the writer of the log that carries a record.',
    '',
    '## Files',
    '',
    ...MAP,
    '',
    ...SECTIONS.flatMap(sectionLines),
  ].join('\n');
}

/** The layouts that one file of src/layout declares, in its order. */
function layoutsOf(module: object): Layout[] {
  return Object.values<unknown>({ ...module }).filter(isLayout);
}

function checkComplete(): void {
  const told = SECTIONS.flatMap((section) => section.layouts.map((layout) => layout.name)).sort();
  const declared = allLayouts()
    .map((layout) => layout.name)
    .sort();
  if (told.join() === declared.join()) return;
  const missing = declared.filter((name) => !told.includes(name));
  throw new Error(
    'scripts/region-document.ts must tell each layout once; missing: ' +
      (missing.join(', ') || 'none, but one is told twice'),
  );
}

function sectionLines(section: Section): string[] {
  const values = Object.entries(section.values ?? {}).flatMap(([title, table]) => valueLines(title, table));
  return [`## ${section.title}`, '', ...section.lines, '', ...section.layouts.flatMap(layoutLines), ...values];
}

function layoutLines(layout: Layout): string[] {
  const rows = Object.entries(layout.fields).map(([name, field]) => {
    const size = fieldSize(field);
    return `| ${field.at} | ${size} | \`${name}\` | ${field.kind} | ${unitOf(name)} | ${field.writer} | ${field.doc} |`;
  });
  const head = [
    '| offset | size | field | type | unit | writer | meaning |',
    '| ---: | ---: | --- | --- | --- | --- | --- |',
  ];
  return [`### ${layout.name} (${layout.sizeBytes} bytes)`, '', layout.doc, '', ...head, ...rows, ''];
}

function valueLines(title: string, table: Readonly<Record<string, number | string>>): string[] {
  return [
    `${title}:`,
    '',
    '| value | name |',
    '| ---: | --- |',
    ...Object.entries(table).map(([name, value]) => `| ${value} | \`${name}\` |`),
    '',
  ];
}

/** Units stand last in names. */
function unitOf(name: string): string {
  if (/bytes/i.test(name)) return 'bytes';
  if (name.endsWith('Ms')) return 'ms';
  return name.endsWith('Ticks') ? 'ticks' : '';
}
