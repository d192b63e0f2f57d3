/** Formats rows as columns: the same in the terminal, in Markdown and in the report. */
import { Program } from "@spikeroute/core"
import { describeValues, type Figures, type Timing } from "./row.ts"
import { type Ratio, ratio, summarize } from "./statistics.ts"

export const milliseconds = (seconds: number): string => {
  const value = 1000 * seconds
  if (value >= 1000) return value.toLocaleString("en", { maximumFractionDigits: 0 })
  return value.toFixed(value < 1 ? 3 : value < 10 ? 2 : 1)
}

export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

/** Firing rates of each layer, or their mean if there are many. */
export const formatRates = (rates: ReadonlyArray<number>): string =>
  rates.length <= 4
    ? rates.map(percent).join(", ")
    : `mean ${percent(rates.reduce((sum, each) => sum + each, 0) / rates.length)}`

export const formatRatio = ({ value, low, high }: Ratio): string => {
  const digits = value < 0.1 ? 3 : value < 10 ? 2 : 1
  if (high === Number.POSITIVE_INFINITY) return `${value.toFixed(digits)} [?]`
  return `${value.toFixed(digits)} [${low.toFixed(digits)}, ${high.toFixed(digits)}]`
}

/** Formats a figure by the unit at the end of its name: bytes, share, ms, … */
export const formatFigure = (name: string, value: number): string => {
  if (/bytes$/.test(name)) return Program.formatBytes(value)
  if (/ check share$/.test(name)) return `${(100 * value).toFixed(3)} %`
  if (/ share$|sparsity$|accuracy$/.test(name)) return percent(value)
  if (Math.abs(value) >= 1e6) return value.toLocaleString("en", { notation: "compact", maximumFractionDigits: 2 })
  if (Number.isInteger(value)) return value.toLocaleString("en")
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3)
}

export interface Column {
  readonly title: string
  readonly cell: (row: Timing | Figures, rows: ReadonlyArray<Timing | Figures>) => string
}

const keysOf = (rows: ReadonlyArray<Timing | Figures>, of: (row: Timing | Figures) => object) => [
  ...new Set(rows.flatMap((row) => Object.keys(of(row)))),
]

/** The columns that have values for the rows of a group. */
export const columnsOf = (rows: ReadonlyArray<Timing | Figures>): ReadonlyArray<Column> => {
  const timings = rows.filter((row) => row.kind === "timing")
  const timed = (of: (row: Timing) => string) => (row: Timing | Figures) => (row.kind === "timing" ? of(row) : "")
  // Values in which the rows differ.
  const varying = keysOf(rows, ({ values }) => values).filter(
    (name) => new Set(rows.map(({ values }) => values[name])).size > 1,
  )
  const columns: Array<Column> = [
    {
      title: "",
      cell: ({ subject, values }) =>
        [
          subject,
          ...varying
            .filter((name) => values[name] !== undefined)
            .map((name) => describeValues({ [name]: values[name]! })),
        ].join(", "),
    },
  ]
  if (timings.length > 0)
    columns.push(
      {
        title: "ms",
        cell: timed((row) => {
          const { median, marked } = summarize(row)
          return `${milliseconds(median)}${marked ? " !" : ""}`
        }),
      },
      {
        title: "least – most",
        cell: timed((row) => `${milliseconds(summarize(row).least)} – ${milliseconds(summarize(row).most)}`),
      },
    )
  if (timings.length > 1)
    columns.push({
      title: `× ${timings[0]?.subject}`,
      cell: timed((row) => (row === timings[0] ? "1" : formatRatio(ratio(row, timings[0] as Timing)))),
    })
  for (const name of keysOf(rows, ({ figures }) => figures))
    columns.push({
      title: name,
      cell: ({ figures }) => (figures[name] === undefined ? "" : formatFigure(name, figures[name])),
    })
  if (timings.some(({ loss }) => loss !== undefined))
    columns.push({ title: "loss", cell: timed(({ loss }) => loss?.toFixed(3) ?? "") })
  if (timings.some(({ firingRates }) => firingRates !== undefined))
    columns.push({ title: "firing rates", cell: timed(({ firingRates = [] }) => formatRates(firingRates)) })
  if (timings.some(({ check }) => check !== undefined))
    columns.push({ title: "error", cell: timed(({ check }) => check?.error.toExponential(0) ?? "") })
  if (timings.some((row) => summarize(row).disturbed > 0))
    columns.push({
      title: "disturbed",
      cell: timed((row) => `${summarize(row).disturbed} of ${row.seconds.length}`),
    })
  return columns
}
