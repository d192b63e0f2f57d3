/** Batch normalisation and weight standardisation on examples small enough to follow by hand. */
import { describe, test } from "bun:test"
import { empty, expectNear, runKernel } from "./support.ts"

describe("batch normalisation of (1, 3)", () => {
  const operands = {
    x: [
      [2, 1],
      [1, 3],
    ],
    weight: [[1], [4]],
    bias: [[1], [0.5]],
    runningMean: [[1], [0]],
    runningVariance: [[1], [1]],
    mean: empty(1),
    inverseDeviation: empty(1),
    y: empty(2, 1),
  } as const
  test("mean 2, variance 1 over the batch; the running variance approaches the unbiased 2", () => {
    // bn = torch.nn.BatchNorm1d(1); bn.weight.data.fill_(4); bn.bias.data.fill_(.5)
    // bn(torch.tensor([[1.], [3.]])); bn.running_mean, bn.running_var
    const after = runKernel("batchNorm.forward", operands, { updates: 1 })
    expectNear(after.y, [-3.49998, 4.49998])
    expectNear(after.mean, [2])
    expectNear(after.inverseDeviation, [0.999995])
    expectNear(after.runningMean, [0.2])
    expectNear(after.runningVariance, [1.1])
  })
  test("one execution for two time steps updates the running statistics twice", () => {
    const after = runKernel("batchNorm.forward", operands, { updates: 2 })
    expectNear(after.runningMean, [0.38])
    expectNear(after.runningVariance, [1.19])
  })
  test("inference uses the running statistics", () => {
    const { y } = runKernel("batchNorm.inference", {
      x: [[1, 1], [5]],
      weight: [[1], [3]],
      bias: [[1], [1]],
      runningMean: [[1], [1]],
      runningVariance: [[1], [4]],
      y: empty(1, 1),
    })
    expectNear(y, [6.9999925])
  })
})

/** ∂Σ c·y/∂operand by central differences of a forward kernel. */
const differences = (
  kernel: string,
  operands: Parameters<typeof runKernel>[1],
  operand: string,
  output: string,
  c: ReadonlyArray<number>,
  attributes = {},
): ReadonlyArray<number> => {
  const [shape, values] = operands[operand]!
  const step = 1 / 64
  const weighed = (i: number, by: number) => {
    const moved = values.map((value, k) => (k === i ? value + by : value))
    const after = runKernel(kernel, { ...operands, [operand]: [shape, moved] }, attributes)[output]!
    return after.reduce((sum, value, k) => sum + value * c[k]!, 0)
  }
  return values.map((_, i) => (weighed(i, step) - weighed(i, -step)) / (2 * step))
}

describe("backward directions against finite differences of the forward direction", () => {
  const c = [0.5, -1, 2, 0.25, 1, -0.75]
  test("batch normalisation: input, weight and bias", () => {
    const shape = [3, 2]
    const forward = {
      x: [shape, [1, -2, 0.5, 1, 4, 3]],
      weight: [[2], [1.5, -0.5]],
      bias: [[2], [0.25, 1]],
      runningMean: empty(2),
      runningVariance: empty(2),
      mean: empty(2),
      inverseDeviation: empty(2),
      y: empty(...shape),
    } as const
    const { mean, inverseDeviation } = runKernel("batchNorm.forward", forward, { updates: 0 })
    const { x, weight } = forward
    const after = runKernel("batchNorm.backward", {
      x,
      weight,
      mean: [[2], mean!],
      inverseDeviation: [[2], inverseDeviation!],
      outputGradient: [shape, c],
      inputGradient: empty(...shape),
      weightGradient: empty(2),
      biasGradient: empty(2),
    })
    const numeric = (operand: string) => differences("batchNorm.forward", forward, operand, "y", c, { updates: 0 })
    expectNear(after.inputGradient, numeric("x"), 1e-3)
    expectNear(after.weightGradient, numeric("weight"), 1e-3)
    expectNear(after.biasGradient, numeric("bias"), 1e-3)
  })
  test("weight standardisation: weight and gain", () => {
    const shape = [1, 1, 3, 2]
    const forward = {
      weight: [shape, [1, -2, 0.5, 1, 4, 3]],
      gain: [[2], [1.5, -0.5]],
      y: empty(...shape),
    } as const
    const { weight, gain } = forward
    const after = runKernel("weightStandardization.backward", {
      weight,
      gain,
      outputGradient: [shape, c],
      weightGradient: empty(...shape),
      gainGradient: empty(2),
    })
    const numeric = (operand: string) => differences("weightStandardization.forward", forward, operand, "y", c)
    expectNear(after.weightGradient, numeric("weight"), 1e-3)
    expectNear(after.gainGradient, numeric("gain"), 1e-3)
  })
  for (const target of ["ones", "one-hot"])
    test(`loss, target ${target}`, () => {
      const attributes = { mix: 0.3, target, terms: 4 }
      const forward = {
        logits: [
          [2, 3],
          [1, -2, 0.5, 1, 4, 3],
        ],
        labels: [[2], [2, 1]],
        metrics: empty(1),
        outputs: empty(2, 3),
      } as const
      const { logits, labels } = forward
      const { logitsGradient } = runKernel("loss.backward", { logits, labels, logitsGradient: empty(2, 3) }, attributes)
      const numeric = differences("loss.forward", forward, "logits", "metrics", [1], attributes)
      expectNear(logitsGradient, numeric, 1e-4)
    })
})

test("scaled weight standardisation of (1, 3), gain 2: mean 2, unbiased variance 2, fan-in 2", () => {
  const { y } = runKernel("weightStandardization.forward", {
    weight: [
      [1, 1, 2, 1],
      [1, 3],
    ],
    gain: [[1], [2]],
    y: empty(1, 1, 2, 1),
  })
  expectNear(y, [-0.9999875, 0.9999875], 1e-7)
})
