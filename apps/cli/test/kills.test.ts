import { expect, test } from "bun:test"
import { killedRuns } from "./kills.ts"

test("runs killed at random moments and resumed are bit-identical to an uninterrupted run", async () => {
  let kills = 0
  for await (const each of killedRuns(3, 7, "reference")) {
    expect(each.differences).toEqual([])
    kills += each.moments.within
  }
  expect(kills).toBeGreaterThan(0)
}, 120_000)
