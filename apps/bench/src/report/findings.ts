/** What a run says of Spikeroute beside other libraries: every comparison, the lost ones first. */
import { describeValues, type Row, type Timing } from "../method/row.ts"
import { type Ratio, ratio, summarize } from "../method/statistics.ts"

export interface Comparison {
  readonly suite: string
  readonly group: string
  /** What they did: the values that both have in common. */
  readonly what: string
  readonly own: Timing
  /** The library's fastest way of doing it. */
  readonly peer: Timing
  /** How many times as long the library takes. */
  readonly times: Ratio
}

export const timingsOf = (rows: ReadonlyArray<Row>): ReadonlyArray<Timing> =>
  rows.filter((row) => row.kind === "timing")

/** Timings by suite and group, in order. */
export const groupsOf = (timings: ReadonlyArray<Timing>): ReadonlyArray<ReadonlyArray<Timing>> => {
  const groups = new Map<string, Array<Timing>>()
  for (const timing of timings) {
    const key = JSON.stringify([timing.suite, timing.group])
    groups.set(key, [...(groups.get(key) ?? []), timing])
  }
  return [...groups.values()]
}

/** Own backends against each library's fastest way, wherever they did the same, with as many threads where it can. */
export const comparisonsOf = (rows: ReadonlyArray<Row>): ReadonlyArray<Comparison> =>
  groupsOf(timingsOf(rows)).flatMap((group) => {
    const peers = [...new Set(group.flatMap(({ peer }) => (peer === undefined ? [] : [peer])))]
    return group
      .filter(({ peer }) => peer === undefined)
      .flatMap((own) =>
        peers.flatMap((name): ReadonlyArray<Comparison> => {
          const theirs = group.filter(({ peer }) => peer === name)
          // Some have one number of threads whatever is asked for.
          const alike = theirs.filter(({ values }) => values.threads === own.values.threads)
          const same = alike.length > 0 ? alike : theirs
          const [fastest] = same.toSorted((a, b) => summarize(a).median - summarize(b).median)
          if (fastest === undefined) return []
          const what = describeValues(own.values)
          return [{ suite: own.suite, group: own.group, what, own, peer: fastest, times: ratio(fastest, own) }]
        }),
      )
  })

/**
 * A comparison is lost where the whole interval lies below 1, and won where it lies above. Where too few rounds give no interval, the
 * slower has lost: a loss is not hidden behind what is not known.
 */
export const verdict = ({ times }: Pick<Comparison, "times">): "lost" | "won" | "open" => {
  if (times.high === Number.POSITIVE_INFINITY) return times.value < 1 ? "lost" : "open"
  return times.high < 1 ? "lost" : times.low > 1 ? "won" : "open"
}
