import { describe, expect, test } from "bun:test"
import { Key } from "@spikeroute/core"
import type { Timing } from "../src/method/row.ts"
import { agree, median, quantile, ratio, summarize } from "../src/method/statistics.ts"

const timing = (subject: string, seconds: ReadonlyArray<number>, others?: ReadonlyArray<number>): Timing => ({
  ...{ kind: "timing", suite: "s", group: "g", subject, values: {}, figures: {}, seconds },
  sittings: seconds.map((_, i) => Math.floor((3 * i) / seconds.length)),
  ...(others === undefined ? {} : { others }),
})

test("quantiles interpolate between neighbours", () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([4, 1, 2, 3])).toBe(2.5)
  expect(quantile([0, 10], 0.99)).toBeCloseTo(9.9)
})

test("disturbed rounds do not count unless too few others remain", () => {
  const seconds = [1, 1.1, 9, 1.2]
  expect(summarize(timing("a", seconds, [0, 0, 1, 0]))).toMatchObject({ median: 1.1, disturbed: 1, marked: false })
  expect(summarize(timing("a", seconds, [0, 1, 1, 0]))).toMatchObject({ rounds: 4, disturbed: 2, marked: true })
})

describe("ratio", () => {
  /** Two subjects, one 3 times as slow, on a machine whose speed varies by up to 2 between rounds. */
  const measured = (seed: number, rounds = 12) => {
    const draw = Key.uniform(Key.make(seed), new Float32Array(3 * rounds))
    const state = Array.from({ length: rounds }, (_, i) => 1 + draw[i]!)
    const noisy = (at: number, seconds: number) => state.map((s, i) => seconds * s * (1 + 0.1 * draw[at * rounds + i]!))
    return ratio(timing("slow", noisy(1, 3)), timing("fast", noisy(2, 1)))
  }
  test("is not affected by what slows all subjects alike", () => {
    const { value, low, high } = measured(1)
    expect(value).toBeWithin(2.8, 3.2)
    expect(low).toBeLessThan(value)
    expect(high).toBeGreaterThan(value)
    expect(high / low).toBeLessThan(1.3)
  })
  test("intervals of independent runs overlap and contain the true ratio", () => {
    const all = Array.from({ length: 20 }, (_, seed) => measured(10 + seed))
    for (const a of all) {
      expect(a.low <= 3 && 3 <= a.high).toBe(true)
      for (const b of all) expect(agree(a, b)).toBe(true)
    }
  })
  test("does not overlap with the interval of a different ratio", () => {
    expect(agree(measured(1), ratio(timing("a", [2, 2.1, 2, 2]), timing("b", [1, 1, 1, 1])))).toBe(false)
  })
  test("of two rounds has an infinite interval", () => {
    expect(ratio(timing("a", [2, 2]), timing("b", [1, 1]))).toEqual({
      value: 2,
      low: 0,
      high: Number.POSITIVE_INFINITY,
    })
  })
  test("includes the median of every sitting", () => {
    const a = timing("a", [1, 1, 1, 1, 2, 2])
    const b = timing("b", [1, 1, 1, 1, 1, 1])
    const { low, high } = ratio(a, b)
    expect(low).toBeLessThan(1)
    expect(high).toBeGreaterThan(2)
  })
})
