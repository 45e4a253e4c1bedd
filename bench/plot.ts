/** A plot of the results: of each figure how many times better STP is, on a logarithmic scale around 1. */
import * as echarts from 'echarts';
import { type Result } from './results';

const WIDTH = 900;
const ROW_HEIGHT = 22;
const MARGIN = { top: 60, bottom: 50, left: 300, right: 30 } as const;
/** A figure that is off the scale is shown at its end. */
const SCALE = { min: 0.05, max: 20 } as const;
const COLORS = { tcp: '#1f77b4', unix: '#ff7f0e', even: '#888888' } as const;

type Point = readonly [ratio: number, name: string];

function points(results: readonly Result[], ratioOf: (result: Result) => number | undefined): Point[] {
  return results.flatMap((result): Point[] => {
    const ratio = ratioOf(result);
    return ratio === undefined ? [] : [[Math.min(SCALE.max, Math.max(SCALE.min, ratio)), result.name]];
  });
}

/** An SVG document. */
export function plot(results: readonly Result[], note: string): string {
  const height = MARGIN.top + MARGIN.bottom + results.length * ROW_HEIGHT;
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  const dots = { type: 'scatter', symbolSize: 10 } as const;
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: { text: 'STP against TCP and Unix sockets: right of 1 STP is better', subtext: note, left: 'center' },
    legend: { bottom: 0 },
    grid: { ...MARGIN },
    xAxis: { type: 'log', ...SCALE, position: 'bottom' },
    yAxis: {
      type: 'category',
      inverse: true,
      data: results.map(({ name }) => name),
      splitLine: { show: true },
      axisLabel: { interval: 0 },
    },
    series: [
      {
        ...dots,
        name: 'to TCP',
        color: COLORS.tcp,
        data: points(results, ({ overTcp }) => overTcp),
        markLine: {
          silent: true,
          symbol: 'none',
          label: { show: false },
          lineStyle: { color: COLORS.even },
          data: [{ xAxis: 1 }],
        },
      },
      { ...dots, name: 'to a Unix socket', color: COLORS.unix, data: points(results, ({ overUnix }) => overUnix) },
    ],
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
