/** Synthetic electrocardiograms: properties of the classes, and determinism by seed. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import { open, type Split } from "../src/index.ts"
import { run } from "./support.ts"

const opened = (seed: number) => run(open("heartbeats", { timeSteps: 1, seed }))

const sampleOf = (split: Split, index: number) => {
  const out = new Float32Array(256)
  Effect.runSync(split.write([index], undefined, out))
  return out
}

const { train, test: tested } = await opened(1)

test("the same seed, split and index give the same sample in any batch", async () => {
  const both = new Float32Array(512)
  Effect.runSync(train.write([7, 3], undefined, both))
  expect(both.subarray(256)).toEqual(sampleOf(train, 3))
  expect(sampleOf((await opened(1)).train, 3)).toEqual(sampleOf(train, 3))
  for (const other of [sampleOf(tested, 3), sampleOf((await opened(2)).train, 3), sampleOf(train, 8)])
    expect(other).not.toEqual(sampleOf(train, 3))
})

test("all samples are finite, and classes are balanced in the first n samples", () => {
  for (let i = 0; i < 200; i++) expect(sampleOf(train, i).every(Number.isFinite)).toBe(true)
  expect([0, 1, 2, 3, 4, 5].map(train.label)).toEqual([0, 1, 2, 3, 4, 0])
})

test("the QRS complex of a ventricular beat is wider than that of a normal one", () => {
  /** Mean number of samples around the centre that exceed half of the peak there. */
  const width = (label: number): number => {
    let count = 0
    for (let i = label; i < 500; i += 5) {
      const middle = sampleOf(train, i).subarray(90, 166)
      const largest = Math.max(...middle.map(Math.abs))
      count += middle.filter((value) => Math.abs(value) > largest / 2).length / 100
    }
    return count
  }
  expect(width(2)).toBeGreaterThan(2 * width(0))
})
