/** Compares two runs: what became slower or larger beyond the noise, and whether within-run ratios agree. */
import { describeValues, type Figures, keyOf, type Row, type Timing } from "../method/row.ts"
import { agree, median, quantile, type Ratio, ratio, summarize } from "../method/statistics.ts"
import { groupsOf, timingsOf } from "./library-comparisons.ts"

/** Smaller changes are not reported as regressions, however certain. */
const noticeable = 0.05

export interface Change {
  readonly name: string
  readonly times: Ratio
}

export interface RunComparison {
  readonly slower: ReadonlyArray<Change>
  readonly faster: ReadonlyArray<Change>
  /** Bytes and counts that grew. */
  readonly larger: ReadonlyArray<{
    readonly name: string
    readonly figure: string
    readonly from: number
    readonly to: number
  }>
  /** Number of ratios between subjects of a group, and those in which the runs disagree. */
  readonly ratios: number
  readonly disagreeing: ReadonlyArray<{ readonly name: string; readonly older: Ratio; readonly newer: Ratio }>
  /** Number of timings in both runs. */
  readonly common: number
  /** How many of them had too few undisturbed rounds to show a change. */
  readonly disturbed: number
}

const nameOf = ({ suite, group, subject, values }: Timing | Figures) =>
  `${suite}, ${group}: ${subject} (${describeValues(values)})`

/**
 * How many times as long the newer run took. The interval covers the spread of all rounds. The two runs are not interleaved, so `drift` is the
 * factor by which the machine alone may have changed a time, in either direction.
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

/** Changes in other libraries' times between the runs are due to the machine: the 90th percentile of these changes. */
const driftOf = (peers: ReadonlyArray<{ readonly before: Timing; readonly after: Timing }>): number =>
  peers.length < 3
    ? 1
    : Math.exp(
        quantile(
          peers.map(({ before, after }) => Math.abs(Math.log(summarize(after).median / summarize(before).median))),
          0.9,
        ),
      )

/** Figures that are exact, so that any increase counts. */
const exact = /^(planned bytes|footprint bytes|multiplications)$/

export const compareRuns = (older: ReadonlyArray<Row>, newer: ReadonlyArray<Row>): RunComparison => {
  const known = new Map(timingsOf(older).map((row) => [keyOf(row), row]))
  const both = timingsOf(newer).flatMap((row) => {
    const before = known.get(keyOf(row))
    return before === undefined ? [] : [{ name: nameOf(row), before, after: row }]
  })
  // Times of disturbed rounds say more about the other load than about the subject.
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

/** The median factor by which all common timings changed, which is due to the machine. */
export const overall = (older: ReadonlyArray<Row>, newer: ReadonlyArray<Row>): number => {
  const known = new Map(timingsOf(older).map((row) => [keyOf(row), row]))
  return median(
    timingsOf(newer).flatMap((row) => {
      const before = known.get(keyOf(row))
      return before === undefined ? [] : [summarize(row).median / summarize(before).median]
    }),
  )
}
