/** The report's charts, rendered to SVG by Observable Plot when the report is written; the page contains no script. */
import * as Plot from "@observablehq/plot"
import { draw } from "@spikeroute/cli/charts"
import { describeValues, type Figures, type Row, type Timing } from "../method/row.ts"
import { median, quantile, summarize } from "../method/statistics.ts"
import { groupsOf, timingsOf } from "./library-comparisons.ts"

export interface Chart {
  readonly title: string
  readonly svg: string
}

const width = 480
const style = { fontFamily: "system-ui, sans-serif", fontSize: "13px", background: "transparent" }

/** With a legend, Plot returns a figure instead of an svg, so the legend is drawn separately in the same colours. */
const palette = ["#2a6fb0", "#e08214", "#2b8a5b", "#b03a5b", "#7b5bb0", "#8c6d46", "#555"]

const paint = (names: ReadonlyArray<string>) => ({
  domain: [...names],
  range: names.map((_, i) => palette[i % palette.length] as string),
})

export const legend = (names: ReadonlyArray<string>): string =>
  `<p class="legend">${names
    .map((name, i) => `<span><i style="background:${palette[i % palette.length]}"></i>${name}</span>`)
    .join(" ")}</p>`

/** Line chart: one line per series over a numeric value. */
const lines = (
  points: ReadonlyArray<{ readonly x: number; readonly y: number; readonly series: string }>,
  x: Plot.ScaleOptions,
  y: Plot.ScaleOptions,
  rules: ReadonlyArray<{ readonly y: number; readonly name: string }> = [],
): string => {
  const names = [...new Set(points.map(({ series }) => series))]
  return (
    legend(names) +
    draw({
      ...{ width, height: 270, marginLeft: 60, marginRight: 24, marginBottom: 44, style },
      x: { grid: true, ...x },
      y: { grid: true, ...y },
      color: paint(names),
      marks: [
        Plot.ruleY(rules, { y: "y", stroke: "#999", strokeDasharray: "4 3" }),
        Plot.text(rules, {
          y: "y",
          text: "name",
          frameAnchor: "left",
          dx: 4,
          dy: -7,
          textAnchor: "start",
          fill: "#666",
        }),
        Plot.line(points, { x: "x", y: "y", stroke: "series", z: "series", strokeWidth: 2 }),
        Plot.dot(points, { x: "x", y: "y", fill: "series", r: 3.5 }),
      ],
    })
  )
}

/** Bar chart: one bar per subject of a group, with the interquartile range of its rounds. */
const bars = (group: ReadonlyArray<Timing>): Chart => {
  const varying = [...new Set(group.flatMap(({ values }) => Object.keys(values)))].filter(
    (name) => new Set(group.map(({ values }) => values[name])).size > 1,
  )
  const rows = group.map((timing) => {
    const own = varying.flatMap((name) => (timing.values[name] === undefined ? [] : [[name, timing.values[name]]]))
    return {
      name: [timing.subject, ...(own.length > 0 ? [describeValues(Object.fromEntries(own))] : [])].join(", "),
      ms: 1000 * summarize(timing).median,
      low: 1000 * quantile(timing.seconds, 0.25),
      high: 1000 * quantile(timing.seconds, 0.75),
      who: timing.peer ?? "Spikeroute",
    }
  })
  const spread = Math.max(...rows.map(({ ms }) => ms)) / Math.min(...rows.map(({ ms }) => ms))
  // Bars must start at 0, so a wide range of times is shown as dots on a logarithmic axis.
  const logarithmic = spread > 30
  const longest = Math.max(...rows.map(({ name }) => name.length))
  // The width is fixed: long names get a smaller font.
  const fontSize = longest > 36 ? 11 : 13
  return {
    title: `${group[0]?.suite}: ${group[0]?.group}`,
    svg: draw({
      ...{
        width,
        height: 56 + 26 * rows.length,
        marginLeft: Math.min(290, 14 + 0.52 * fontSize * longest),
        marginRight: 60,
        style: { ...style, fontSize: `${fontSize}px` },
      },
      x: { label: "ms →", grid: true, ...(logarithmic ? { type: "log" as const } : { zero: true }) },
      y: { label: null, domain: rows.map(({ name }) => name) },
      color: { domain: ["own", "peer"], range: [palette[0] as string, "#9aa5b1"] },
      marks: [
        logarithmic
          ? Plot.dot(rows, { x: "ms", y: "name", r: 5, fill: ({ who }) => (who === "Spikeroute" ? "own" : "peer") })
          : Plot.barX(rows, { x: "ms", y: "name", fill: ({ who }) => (who === "Spikeroute" ? "own" : "peer") }),
        Plot.ruleY(rows, { x1: "low", x2: "high", y: "name", stroke: "#222" }),
        Plot.text(rows, {
          ...{ x: ({ ms, high }) => Math.max(ms, high), y: "name", textAnchor: "start", dx: 8 },
          text: ({ ms }) => (ms >= 100 ? ms.toFixed(0) : ms.toPrecision(3)),
        }),
      ],
    }),
  }
}

/** Suites with charts other than bars. */
const own: Readonly<Record<string, (rows: ReadonlyArray<Row>) => ReadonlyArray<Chart>>> = {
  kernels: (rows) =>
    groupsOf(timingsOf(rows).filter(({ suite }) => suite === "kernels")).map((group) => {
      const ceilings = rows.filter(
        (row): row is Figures => row.kind === "figures" && row.suite === "kernels" && row.group === "ceilings",
      )
      return {
        title: `kernels: ${group[0]?.group}`,
        svg: lines(
          group.map((timing) => ({
            ...{ x: Number(timing.values.density), y: timing.figures["GFLOP/s"] ?? Number.NaN, series: timing.subject },
          })),
          { label: "density (share of elements that are not 0) →", type: "log", tickFormat: ".0%" },
          { label: "↑ GFLOP/s of a dense kernel as fast", type: "log" },
          ceilings.map(({ subject, figures }) => ({
            y: figures["GFLOP/s, multiply-adds"] ?? Number.NaN,
            name: `multiply-adds, ${subject}`,
          })),
        ),
      }
    }),
  memory: (rows) => {
    const figures = rows.filter((row): row is Figures => row.kind === "figures" && row.suite === "memory")
    if (figures.length === 0) return []
    return [
      {
        title: "memory: resident memory against T",
        svg: lines(
          figures.map(({ subject, values, figures }) => ({
            ...{ x: Number(values.timeSteps), y: (figures["resident bytes"] ?? Number.NaN) / 2 ** 20 },
            series: `${subject}, ${values.policy}`,
          })),
          { label: "time steps T →" },
          { label: "↑ MiB", zero: true },
        ),
      },
    ]
  },
  scale: (rows) => {
    const groups = groupsOf(timingsOf(rows).filter(({ suite }) => suite === "scale"))
    const axes = { "time steps": "timeSteps", batch: "batchSize", width: "width" } as const
    const charts: Array<Chart> = Object.entries(axes).flatMap(([axis, value]) => {
      const points = groups
        .filter(([first]) => first?.group.startsWith(`${axis},`))
        .flatMap((group) =>
          group.map((timing) => ({
            ...{ x: Number(timing.values[value]), y: 1000 * summarize(timing).median },
            series: `${timing.subject}, ${timing.values.policy}`,
          })),
        )
      return points.length === 0
        ? []
        : [
            {
              title: `scale: time of an iteration against ${axis}`,
              svg: lines(
                points,
                { label: `${axis} →`, type: "log", base: 2, tickFormat: (x: number) => String(x) },
                { label: "↑ ms", type: "log" },
              ),
            },
          ]
    })
    const firing = groups
      .filter(([first]) => first?.group.startsWith("firing rates"))
      .flatMap((group) =>
        group.map((timing) => ({
          x: median(timing.firingRates ?? []),
          y: 1000 * summarize(timing).median,
          series: timing.subject,
        })),
      )
    if (firing.length > 0)
      charts.push({
        title: "scale: time of an iteration against the firing rate",
        svg: lines(
          firing,
          { label: "median of the layers' firing rates →", tickFormat: ".0%" },
          { label: "↑ ms", zero: true },
        ),
      })
    return charts
  },
}

export const chartsOf = (suite: string, rows: ReadonlyArray<Row>): ReadonlyArray<Chart> =>
  own[suite]?.(rows) ?? groupsOf(timingsOf(rows).filter((row) => row.suite === suite)).map(bars)
