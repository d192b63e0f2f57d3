/**
 * The published data sets, if they are present next to the repository. The expected figures come from NumPy: `np.frombuffer` of
 * the files, scaled or normalised in the same way; N-MNIST's events are counted in five equal shares with `np.add.at`.
 */
import { expect, test } from "bun:test"
import { dirname } from "node:path"
import { Effect } from "effect"
import { type Dataset, open } from "../src/index.ts"
import { realData, run } from "./support.ts"

const timeSteps = 5

/** The values of the first test samples. */
const first = async ({ shape, encoding, test: split }: Dataset, count: number) => {
  const size = shape.reduce((product, side) => product * side, 1) * (encoding === "frames" ? timeSteps : 1)
  const out = new Float32Array(count * size)
  await Effect.runPromise(
    split.write(
      Array.from({ length: count }, (_, i) => i),
      undefined,
      out,
    ),
  )
  return out
}

interface Expected {
  readonly name: string
  readonly sizes: readonly [train: number, test: number]
  readonly firstLabels: ReadonlyArray<number>
  /** Mean, minimum and maximum of the values of the first 100 test samples. */
  readonly mean: number
  readonly range: readonly [lowest: number, highest: number]
}

const expected: ReadonlyArray<Expected> = [
  {
    name: "mnist",
    sizes: [60_000, 10_000],
    firstLabels: [7, 2, 1, 0, 4, 1, 4, 9],
    mean: 0.119883,
    range: [0, 1],
  },
  {
    name: "fashion-mnist",
    sizes: [60_000, 10_000],
    firstLabels: [9, 2, 1, 1, 6, 1, 4, 6],
    mean: 0.292826,
    range: [0, 1],
  },
  {
    name: "cifar10",
    sizes: [4000, 1000],
    firstLabels: [3, 8, 8, 0, 6, 6, 1, 6],
    mean: -0.0083,
    range: [-2.429066, 2.753731],
  },
  {
    name: "nmnist",
    sizes: [1000, 100],
    firstLabels: [0, 0, 0, 0, 0, 0, 0, 0, 1],
    mean: 0.333561,
    range: [0, 10],
  },
  {
    name: "optdigits",
    sizes: [3823, 1797],
    firstLabels: [0, 1, 2, 3, 4, 5, 6, 7],
    mean: 0.30417,
    range: [0, 1],
  },
]

for (const { name, sizes, firstLabels, mean, range } of expected) {
  const directory = realData(name)
  if (directory === undefined) continue
  test(`${name}, as published`, async () => {
    for (const dataDir of [directory, dirname(directory)]) {
      const dataset = await run(open(name, { timeSteps, dataDir }))
      expect([dataset.train.size, dataset.test.size]).toEqual([...sizes])
      expect(firstLabels.map((_, i) => dataset.test.label(i))).toEqual([...firstLabels])
      const values = await first(dataset, 100)
      const span = values.reduce<[number, number]>((so, v) => [Math.min(so[0], v), Math.max(so[1], v)], [0, 0])
      expect(values.reduce((sum, value) => sum + value, 0) / values.length).toBeCloseTo(mean, 5)
      expect(span[0]).toBeCloseTo(range[0], 5)
      expect(span[1]).toBeCloseTo(range[1], 5)
    }
  })
}
