/** The loss and what a batch leaves behind, worked out by hand. */
import { describe, expect, test } from "bun:test"
import { empty, expectNear, runKernel } from "./support.ts"

describe("loss of logits (0, 0), label 0, β = 0.05, T = 2", () => {
  const operands = { logits: [[1, 2], [0]], labels: [[1], [0]] } as const
  test("target ones: (0.95·ln 2 + 0.05·1)/2; outputs are summed", () => {
    const after = runKernel(
      "loss.forward",
      {
        ...operands,
        logits: [[1, 2], [0]],
        metrics: [[2], [1, 7]],
        outputs: [
          [1, 2],
          [3, 4],
        ],
      },
      { mix: 0.05, target: "ones", terms: 2 },
    )
    expectNear(after.metrics, [1 + (0.95 * Math.LN2 + 0.05) / 2, 7])
    expect(after.outputs).toEqual([3, 4])
  })
  test("target one-hot: (0.95·ln 2 + 0.05·½)/2", () => {
    const after = runKernel(
      "loss.forward",
      { ...operands, metrics: empty(1), outputs: empty(1, 2) },
      { mix: 0.05, target: "one-hot", terms: 2 },
    )
    expectNear(after.metrics, [(0.95 * Math.LN2 + 0.025) / 2])
  })
  test("gradients", () => {
    const gradient = (target: string) =>
      runKernel("loss.backward", { ...operands, logitsGradient: empty(1, 2) }, { mix: 0.05, target, terms: 2 })
        .logitsGradient
    expectNear(gradient("ones"), [-0.2625, 0.2125])
    expectNear(gradient("one-hot"), [-0.2625, 0.2375])
  })
  test("mean over the batch, for logits whose exponential overflows", () => {
    // torch.nn.functional.cross_entropy(torch.tensor([[1000., 0.], [0., 1000.]]), torch.tensor([0, 0]))  → 500
    const { metrics } = runKernel(
      "loss.forward",
      {
        logits: [
          [2, 2],
          [1000, 0, 0, 1000],
        ],
        labels: [[2], [0]],
        metrics: empty(1),
        outputs: empty(2, 2),
      },
      { mix: 0, target: "ones", terms: 1 },
    )
    expect(metrics).toEqual([500])
  })
})

test("bookkeeping: firing rates are means over neurons and time; zero clears", () => {
  const { metrics } = runKernel(
    "spikes.rate",
    {
      spikes: [
        [2, 4],
        [1, 0, 0, 0, 1, 0, 0, 0],
      ],
      metrics: [[3], [5, 6, 7]],
    },
    { index: 2, terms: 5 },
  )
  expectNear(metrics, [5, 6, 7.05])
  expect(runKernel("zero", { target: [[3], [1, 2, Number.NaN]] }).target).toEqual([0, 0, 0])
})
