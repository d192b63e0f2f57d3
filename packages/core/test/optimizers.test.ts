/** Updates computed by hand, beside the lines of PyTorch that make the same numbers. */
import { describe, expect, test } from "bun:test"
import { leaf } from "../src/expressions/expression.ts"
import { Optimizer } from "../src/index.ts"
import { empty, expectNear, runKernel } from "./support.ts"

/** Weights 1 and −2 after updates with the gradients (0.5, −1) and then (−0.25, 1); the state goes along. */
const updates = ({ states, update, numbers }: Optimizer.Optimizer, learningRate: number) => {
  let parameter: ReadonlyArray<number> = [1, -2]
  let stored: ReadonlyArray<number> = states.flatMap(() => [0, 0])
  return [
    [0.5, -1],
    [-0.25, 1],
  ].map((gradient, i) => {
    const h = [...numbers(learningRate, i + 1)]
    const planes = [states.length, 2]
    const { y, state } = runKernel(
      "elementwise.forward",
      {
        ...{ x0: [[2], gradient], x1: [[2], parameter], before: [planes, stored], h: [[h.length], h] },
        ...{ state: empty(...planes), y: empty(2) },
      },
      { ...update(leaf("x0")) },
    ) as Readonly<Record<"y" | "state", ReadonlyArray<number>>>
    parameter = y
    stored = state
    return { parameter, ...Object.fromEntries(states.map((name, k) => [name, state.slice(2 * k, 2 * k + 2)])) }
  }) as ReadonlyArray<Readonly<Record<string, ReadonlyArray<number>>>>
}

// w = torch.tensor([1., -2.], requires_grad=True)
// o = …
// for g in ([.5, -1.], [-.25, 1.]): w.grad = torch.tensor(g); o.step(); print(w)

test("SGD: o = torch.optim.SGD([w], lr=.1)", () => {
  const [first, second] = updates(Optimizer.sgd({ momentum: 0 }), 0.1)
  expectNear(first?.parameter, [0.95, -1.9])
  expectNear(second?.parameter, [0.975, -2])
})

test("SGD with momentum: o = torch.optim.SGD([w], lr=.1, momentum=.9)", () => {
  const [first, second] = updates(Optimizer.sgd(), 0.1)
  expectNear(first?.parameter, [0.95, -1.9])
  // velocity: 0.9·0.5 − 0.25 = 0.2,  −0.9 + 1 = 0.1
  expectNear(second?.velocity, [0.2, 0.1])
  expectNear(second?.parameter, [0.93, -1.91])
})

test("SGD with weight decay: o = torch.optim.SGD([w], lr=.1, momentum=.9, weight_decay=.1)", () => {
  const [first, second] = updates(Optimizer.sgd({ weightDecay: 0.1 }), 0.1)
  // 0.5 + 0.1·1 = 0.6,  −1 − 0.2 = −1.2
  expectNear(first?.velocity, [0.6, -1.2])
  expectNear(first?.parameter, [0.94, -1.88])
  // 0.54 − 0.25 + 0.094,  −1.08 + 1 − 0.188
  expectNear(second?.velocity, [0.384, -0.268])
  expectNear(second?.parameter, [0.9016, -1.8532])
})

test("Adam: o = torch.optim.Adam([w], lr=.1)", () => {
  const [first, second] = updates(Optimizer.adam(), 0.1)
  // Of the first update only the sign is left: m̂/√v̂ = ±1.
  expectNear(first?.parameter, [0.9, -1.9])
  expectNear(first?.firstMoment, [0.05, -0.1])
  expectNear(first?.secondMoment, [0.00025, 0.001])
  // m = 0.045 − 0.025 = 0.02, m̂ = 0.02/0.19;  v = 0.00024975 + 0.0000625 = 0.00031225, v̂ = v/0.001999
  // m = −0.09 + 0.1 = 0.01;  v = 0.000999 + 0.001 = 0.001999, v̂ = 1
  const step = (m: number, v: number) => (0.1 * (m / 0.19)) / Math.sqrt(v / 0.001999)
  expectNear(second?.parameter, [0.9 - step(0.02, 0.00031225), -1.9 - step(0.01, 0.001999)])
  expectNear(second?.parameter, [0.873366, -1.905263])
})

test("Adam with weight decay adds it to the gradient: o = torch.optim.Adam([w], lr=.1, weight_decay=.1)", () => {
  const [first] = updates(Optimizer.adam({ weightDecay: 0.1 }), 0.1)
  expectNear(first?.firstMoment, [0.06, -0.12])
  expectNear(first?.secondMoment, [0.00036, 0.00144])
  expectNear(first?.parameter, [0.9, -1.9])
})

test("AdamW subtracts weight decay from the weight: o = torch.optim.AdamW([w], lr=.1, weight_decay=.1)", () => {
  const [first] = updates(Optimizer.adamw({ weightDecay: 0.1 }), 0.1)
  expectNear(first?.firstMoment, [0.05, -0.1])
  // 1·(1 − 0.01) − 0.1,  −2·0.99 + 0.1
  expectNear(first?.parameter, [0.89, -1.88])
})

test("Lion changes each weight by the rate, against the sign of 0.9·m + 0.1·g", () => {
  const [first, second] = updates(Optimizer.lion({ weightDecay: 0.1 }), 0.1)
  // 1 − 0.1·(1 + 0.1),  −2 − 0.1·(−1 − 0.2)
  expectNear(first?.parameter, [0.89, -1.88])
  expectNear(first?.momentum, [0.005, -0.01])
  // Signs of 0.0045 − 0.025 and −0.009 + 0.1: 0.89 − 0.1·(−1 + 0.089),  −1.88 − 0.1·(1 − 0.188)
  expectNear(second?.parameter, [0.9811, -1.9612])
  // 0.00495 − 0.0025,  −0.0099 + 0.01
  expectNear(second?.momentum, [0.00245, 0.0001])
})

test("default options are PyTorch's, and a momentum of 0.9", () => {
  expect(Optimizer.adam().options).toEqual({ beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 })
  expect(Optimizer.adamw().options.weightDecay).toBe(0.01)
  expect(Optimizer.sgd({ weightDecay: 0.5 }).options).toEqual({ momentum: 0.9, weightDecay: 0.5 })
})

describe("invalid options", () => {
  const cases: ReadonlyArray<readonly [string, () => unknown, string, string?]> = [
    ["beta1 = 1", () => Optimizer.adam({ beta1: 1 }), "beta1"],
    ["beta2 that is 1 in float32", () => Optimizer.adam({ beta2: 1 - 1e-9 }), "beta2"],
    ["epsilon = 0", () => Optimizer.adam({ epsilon: 0 }), "epsilon"],
    ["epsilon that GPUs take for 0", () => Optimizer.adam({ epsilon: 1e-40 }), "epsilon"],
    ["weight decay NaN", () => Optimizer.adamw({ weightDecay: Number.NaN }), "weightDecay"],
    ["weight decay below 0", () => Optimizer.sgd({ weightDecay: -0.1 }), "weightDecay"],
    ["momentum beyond float32", () => Optimizer.sgd({ momentum: 1e39 }), "momentum"],
    ["a misspelt option", () => Optimizer.adam({ beta_1: 0.9 } as object), "beta_1", "beta1"],
  ]
  for (const [name, make, option, similar] of cases)
    test(name, () => {
      let error: unknown
      try {
        make()
      } catch (thrown) {
        error = thrown
      }
      expect(error).toMatchObject({ _tag: "OptionError", option })
      expect((error as { similar?: string }).similar).toBe(similar)
    })
})
