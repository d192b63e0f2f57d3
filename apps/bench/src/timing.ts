/**
 * Timing side by side: rounds go through all cases in turn, so that whatever else the machine does falls on all alike.
 */
import { Effect } from "effect"

/** Seconds: the median of the rounds, the least and the most. */
export interface Timing {
  readonly median: number
  readonly least: number
  readonly most: number
}

export const timingOf = (seconds: ReadonlyArray<number>): Timing => {
  const sorted = seconds.toSorted((a, b) => a - b)
  return {
    median: sorted[Math.floor(sorted.length / 2)] as number,
    least: sorted[0] as number,
    most: sorted.at(-1) as number,
  }
}

/** Runs every case once a round, after `warmUp` rounds that do not count. */
export const inTurn = <E, R>(
  cases: ReadonlyArray<Effect.Effect<unknown, E, R>>,
  { rounds, warmUp = 2 }: { readonly rounds: number; readonly warmUp?: number },
): Effect.Effect<ReadonlyArray<Timing>, E, R> =>
  Effect.gen(function* () {
    const seconds = cases.map((): Array<number> => [])
    for (let round = 0; round < warmUp + rounds; round++)
      for (const [i, each] of cases.entries()) {
        const before = performance.now()
        yield* each
        if (round >= warmUp) seconds[i]?.push((performance.now() - before) / 1000)
      }
    return seconds.map(timingOf)
  })

export const milliseconds = (seconds: number): string => {
  const value = 1000 * seconds
  return value < 10 ? value.toFixed(2) : value.toFixed(1)
}

export const spread = ({ least, most }: Timing): string => `${milliseconds(least)} – ${milliseconds(most)}`
