/** All comparisons of Spikeroute with other libraries in a run. */
import { describeValues, type Row, type Timing } from "../method/row.ts"
import { type Ratio, ratio, summarize } from "../method/statistics.ts"

export interface LibraryComparison {
  readonly suite: string
  readonly group: string
  /** The workload: values that both have in common. */
  readonly what: string
  readonly own: Timing
  /** The library's fastest variant. */
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

/** Compares each backend with each library's fastest variant of the same work, with the same number of threads if possible. */
export const comparisonsOf = (rows: ReadonlyArray<Row>): ReadonlyArray<LibraryComparison> =>
  groupsOf(timingsOf(rows)).flatMap((group) => {
    const peers = [...new Set(group.flatMap(({ peer }) => (peer === undefined ? [] : [peer])))]
    return group
      .filter(({ peer }) => peer === undefined)
      .flatMap((own) =>
        peers.flatMap((name): ReadonlyArray<LibraryComparison> => {
          const theirs = group.filter(({ peer }) => peer === name)
          // Some libraries ignore the requested number of threads.
          const sameThreads = theirs.filter(({ values }) => values.threads === own.values.threads)
          const candidates = sameThreads.length > 0 ? sameThreads : theirs
          const [fastest] = candidates.toSorted((a, b) => summarize(a).median - summarize(b).median)
          if (fastest === undefined) return []
          const what = describeValues(own.values)
          return [{ suite: own.suite, group: own.group, what, own, peer: fastest, times: ratio(fastest, own) }]
        }),
      )
  })

/**
 * A comparison is lost if the whole interval is below 1, and won if it is above 1. If there are too few rounds for an interval, the slower one
 * loses, so that uncertainty never hides a loss.
 */
export const verdict = ({ times }: Pick<LibraryComparison, "times">): "lost" | "won" | "open" => {
  if (times.high === Number.POSITIVE_INFINITY) return times.value < 1 ? "lost" : "open"
  return times.high < 1 ? "lost" : times.low > 1 ? "won" : "open"
}
