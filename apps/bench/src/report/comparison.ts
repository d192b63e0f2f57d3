/** Two runs beside each other: what became slower or larger beyond the noise, and whether ratios within each agree. */
import { describeValues, type Figures, keyOf, type Row, type Timing } from "../method/row.ts"
import { agree, median, quantile, type Ratio, ratio, summarize } from "../method/statistics.ts"
import { groupsOf, timingsOf } from "./findings.ts"

/** A change below this is no regression, however sure it is. */
export const noticeable = 0.05

export interface Change {
  readonly name: string
  readonly times: Ratio
}

export interface Comparison {
  readonly slower: ReadonlyArray<Change>
  readonly faster: ReadonlyArray<Change>
  /** Bytes and counts that grew. */
  readonly larger: ReadonlyArray<{
    readonly name: string
    readonly figure: string
    readonly from: number
    readonly to: number
  }>
  /** Ratios between subjects of a group: how many there are, and which the two runs tell apart. */
  readonly ratios: number
  readonly disagreeing: ReadonlyArray<{ readonly name: string; readonly older: Ratio; readonly newer: Ratio }>
  /** Timings that both runs have. */
  readonly common: number
  /** How many of them had too few undisturbed rounds to tell a change by. */
  readonly disturbed: number
}

const nameOf = ({ suite, group, subject, values }: Timing | Figures) =>
  `${suite}, ${group}: ${subject} (${describeValues(values)})`

/**
 * How many times as long the newer run took: the interval has the spread of all rounds. Runs are not interleaved, so the machine is not
 * the same: `drift` is by how much that alone may have moved a time, for better or worse.
 */
export const change = (older: Timing, newer: Timing, drift = 1): Ratio => {
  const bounds = ({ seconds }: Timing) => [quantile(seconds, 0.1), quantile(seconds, 0.9)] as const
  const [a, b] = [bounds(older), bounds(newer)]
  return {
    value: summarize(newer).median / summarize(older).median,
    low: b[0] / a[1] / drift,
    high: (b[1] / a[0]) * drift,
  }
}

/** Other libraries' times between the runs are the machine's doing: by how much nine of ten of them moved, at most. */
const driftOf = (peers: ReadonlyArray<{ readonly before: Timing; readonly after: Timing }>): number =>
  peers.length < 3
    ? 1
    : Math.exp(
        quantile(
          peers.map(({ before, after }) => Math.abs(Math.log(summarize(after).median / summarize(before).median))),
          0.9,
        ),
      )

/** Where both runs have a figure that is exact and the newer's is larger. */
const exact = /^(planned bytes|footprint bytes|multiplications)$/

export const compareRuns = (older: ReadonlyArray<Row>, newer: ReadonlyArray<Row>): Comparison => {
  const known = new Map(timingsOf(older).map((row) => [keyOf(row), row]))
  const both = timingsOf(newer).flatMap((row) => {
    const before = known.get(keyOf(row))
    return before === undefined ? [] : [{ name: nameOf(row), before, after: row }]
  })
  // Where other work could not be kept out, a time says more of that work than of what was timed.
  const told = both.filter(({ before, after }) => !summarize(before).marked && !summarize(after).marked)
  const drift = driftOf(told.filter(({ after }) => after.peer !== undefined))
  const changes = told
    .filter(({ after }) => after.peer === undefined)
    .map(({ name, before, after }) => ({ name, times: change(before, after, drift) }))
  const figures = new Map(
    older.filter((row) => row.kind === "figures" || row.kind === "timing").map((row) => [keyOf(row), row]),
  )
  const larger = newer.flatMap((row) => {
    if (row.kind !== "figures" && row.kind !== "timing") return []
    const before = figures.get(keyOf(row))?.figures ?? {}
    return Object.entries(row.figures).flatMap(([figure, to]) => {
      const from = before[figure]
      return exact.test(figure) && from !== undefined && to > from ? [{ name: nameOf(row), figure, from, to }] : []
    })
  })
  const pairs = groupsOf(both.map(({ after }) => after)).flatMap((group) =>
    group.slice(1).map((row) => ({ row, first: group[0] as Timing })),
  )
  const ratios = pairs.map(({ row, first }) => ({
    name: `${nameOf(row)} ÷ ${first.subject}`,
    older: ratio(known.get(keyOf(row)) as Timing, known.get(keyOf(first)) as Timing),
    newer: ratio(row, first),
  }))
  return {
    slower: changes.filter(({ times }) => times.low > 1 && times.value > 1 + noticeable),
    faster: changes.filter(({ times }) => times.high < 1 && times.value < 1 / (1 + noticeable)),
    larger,
    ratios: ratios.length,
    disagreeing: ratios.filter((each) => !agree(each.older, each.newer)),
    common: both.length,
    disturbed: both.length - told.length,
  }
}

/** By how much all that both runs timed became slower, in the middle: what the machine did. */
export const overall = (older: ReadonlyArray<Row>, newer: ReadonlyArray<Row>): number => {
  const known = new Map(timingsOf(older).map((row) => [keyOf(row), row]))
  return median(
    timingsOf(newer).flatMap((row) => {
      const before = known.get(keyOf(row))
      return before === undefined ? [] : [summarize(row).median / summarize(before).median]
    }),
  )
}
