/** Medians, and confidence intervals of the ratio of two noisy times. */
import { Key } from "@spikeroute/core"
import type { Timing } from "./row.ts"

/** The p-quantile, with linear interpolation. */
export const quantile = (values: ReadonlyArray<number>, p: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const at = p * (sorted.length - 1)
  const low = sorted[Math.floor(at)] ?? Number.NaN
  return low + (at % 1) * ((sorted[Math.ceil(at)] ?? low) - low)
}

export const median = (values: ReadonlyArray<number>): number => quantile(values, 0.5)

/** Processors that others may keep busy in an undisturbed round. */
export const tolerated = 0.15

/** Which rounds were disturbed by other load. */
export const disturbed = ({ seconds, others }: Pick<Timing, "seconds" | "others">): ReadonlyArray<boolean> =>
  seconds.map((_, round) => (others?.[round] ?? 0) > tolerated)

export interface Summary {
  readonly median: number
  readonly least: number
  readonly most: number
  readonly rounds: number
  /** Number of disturbed rounds. They count only if fewer than three others remain. */
  readonly disturbed: number
  /** Whether disturbed rounds had to be counted. */
  readonly marked: boolean
}

/** The rounds that count. */
const counting = (timing: Pick<Timing, "seconds" | "others">): ReadonlyArray<number> => {
  const marks = disturbed(timing)
  const quiet = [...timing.seconds.keys()].filter((round) => !marks[round])
  return quiet.length >= Math.min(3, timing.seconds.length) ? quiet : [...timing.seconds.keys()]
}

export const summarize = (timing: Pick<Timing, "seconds" | "others">): Summary => {
  const rounds = counting(timing)
  const seconds = rounds.map((round) => timing.seconds[round] as number)
  const marks = disturbed(timing)
  return {
    ...{ median: median(seconds), least: Math.min(...seconds), most: Math.max(...seconds), rounds: rounds.length },
    disturbed: marks.filter(Boolean).length,
    marked: rounds.some((round) => marks[round]),
  }
}

export interface Ratio {
  readonly value: number
  readonly low: number
  readonly high: number
}

/** Bootstrap resamples, and the confidence level. */
const resamples = 1000
const confidence = 0.99

/** Smaller differences are not meaningful: the placement of code and data in memory causes as much. */
const resolution = 0.02

/**
 * How many times as long `a` takes as `b`: the median of the rounds' ratios, whose times were taken right after each other.
 *
 * The interval is a two-stage bootstrap over sittings and rounds within them (Davison & Hinkley, Bootstrap Methods and their Application,
 * 1997, section 3.8). Because few sittings say little about their variance, the interval also includes the median of each sitting, widened
 * by {@link resolution}.
 */
export const ratio = (a: Timing, b: Timing): Ratio => {
  const usable = Math.min(a.seconds.length, b.seconds.length)
  const quiet = new Set(counting(a).filter((round) => counting(b).includes(round)))
  const bySitting = new Map<number, Array<number>>()
  for (let round = 0; round < usable; round++) {
    if (quiet.size >= Math.min(3, usable) && !quiet.has(round)) continue
    const sitting = a.sittings[round] as number
    const logarithm = Math.log((a.seconds[round] as number) / (b.seconds[round] as number))
    bySitting.set(sitting, [...(bySitting.get(sitting) ?? []), logarithm])
  }
  const sittings = [...bySitting.values()]
  const key = Key.fold(Key.make(0), a.group, a.subject, b.subject)
  let drawn = new Float32Array()
  let at = 0
  const below = (count: number): number => {
    if (at === drawn.length) {
      drawn = new Float32Array(Key.uniform(Key.fold(key, drawn.length, at), new Float32Array(resamples * usable * 2)))
      at = 0
    }
    return Math.min(count - 1, Math.floor((drawn[at++] as number) * count))
  }
  const medians = Array.from({ length: resamples }, () =>
    median(
      sittings.flatMap(() => {
        const sitting = sittings[below(sittings.length)] as ReadonlyArray<number>
        return sitting.map(() => sitting[below(sitting.length)] as number)
      }),
    ),
  )
  const own = sittings.map(median)
  const tail = (1 - confidence) / 2
  const middle = median(sittings.flat())
  const wide = widening(sittings.flat().length)
  // Never 0, so that with fewer than three rounds the interval is infinite.
  const low = Math.min(quantile(medians, tail) - middle, ...own.map((each) => each - middle), -1e-9)
  const high = Math.max(quantile(medians, 1 - tail) - middle, ...own.map((each) => each - middle), 1e-9)
  return {
    value: Math.exp(middle),
    low: Math.exp(middle + wide * low) / (1 + resolution),
    high: Math.exp(middle + wide * high) * (1 + resolution),
  }
}

/**
 * Factor by which the bootstrap interval of few rounds is too narrow: that of Student's t distribution over the normal distribution
 * (Cornish-Fisher expansion, Abramowitz & Stegun 26.7.5). Infinite below three rounds.
 */
const widening = (rounds: number): number => {
  if (rounds < 3) return Number.POSITIVE_INFINITY
  const [z2, free] = [2.576 ** 2, rounds - 1]
  return 1 + (z2 + 1) / (4 * free) + (5 * z2 ** 2 + 16 * z2 + 3) / (96 * free ** 2)
}

/** Whether two intervals overlap. */
export const agree = (a: Ratio, b: Ratio): boolean => a.low <= b.high && b.low <= a.high
