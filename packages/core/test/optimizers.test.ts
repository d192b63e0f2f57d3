/** Updates computed by hand, beside the lines of PyTorch that make the same numbers. */
import { describe, expect, test } from "bun:test"
import { Optimizer } from "../src/index.ts"
import { expectNear, runKernel } from "./support.ts"

/** Weights 1 and −2 after updates with the gradients (0.5, −1) and then (−0.25, 1); the state goes along. */
const updates = (chosen: Optimizer.OptimizerOptions, learningRate: number) => {
  const { kernel, state, attributes } = Optimizer.optimizers[chosen.name]
  let parameter: ReadonlyArray<number> = [1, -2]
  let kept: Readonly<Record<string, ReadonlyArray<number>>> = Object.fromEntries(state.map((name) => [name, [0, 0]]))
  return [
    [0.5, -1],
    [-0.25, 1],
  ].map((gradient, i) => {
    const after = runKernel(
      kernel.name,
      {
        parameter: [[2], parameter],
        gradient: [[2], gradient],
        hyperparameters: [[3], [...Optimizer.hyperparameters(chosen, learningRate, i + 1)]],
        ...Object.fromEntries(state.map((name) => [name, [[2], kept[name]!] as const])),
      },
      attributes(chosen),
    )
    parameter = after.parameter!
    kept = Object.fromEntries(state.map((name) => [name, after[name]!]))
    return { parameter, ...kept }
  }) as ReadonlyArray<Readonly<Record<string, ReadonlyArray<number>>>>
}

// w = torch.tensor([1., -2.], requires_grad=True)
// o = …
// for g in ([.5, -1.], [-.25, 1.]): w.grad = torch.tensor(g); o.step(); print(w)

test("SGD: o = torch.optim.SGD([w], lr=.1)", () => {
  const [first, second] = updates(Optimizer.options("sgd", { momentum: 0 }), 0.1)
  expectNear(first?.parameter, [0.95, -1.9])
  expectNear(second?.parameter, [0.975, -2])
})

test("SGD with momentum: o = torch.optim.SGD([w], lr=.1, momentum=.9)", () => {
  const [first, second] = updates(Optimizer.options("sgd"), 0.1)
  expectNear(first?.parameter, [0.95, -1.9])
  // velocity: 0.9·0.5 − 0.25 = 0.2,  −0.9 + 1 = 0.1
  expectNear(second?.velocity, [0.2, 0.1])
  expectNear(second?.parameter, [0.93, -1.91])
})

test("SGD with weight decay: o = torch.optim.SGD([w], lr=.1, momentum=.9, weight_decay=.1)", () => {
  const [first, second] = updates(Optimizer.options("sgd", { weightDecay: 0.1 }), 0.1)
  // 0.5 + 0.1·1 = 0.6,  −1 − 0.2 = −1.2
  expectNear(first?.velocity, [0.6, -1.2])
  expectNear(first?.parameter, [0.94, -1.88])
  // 0.54 − 0.25 + 0.094,  −1.08 + 1 − 0.188
  expectNear(second?.velocity, [0.384, -0.268])
  expectNear(second?.parameter, [0.9016, -1.8532])
})

test("Adam: o = torch.optim.Adam([w], lr=.1)", () => {
  const [first, second] = updates(Optimizer.options("adam"), 0.1)
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
  const [first] = updates(Optimizer.options("adam", { weightDecay: 0.1 }), 0.1)
  expectNear(first?.firstMoment, [0.06, -0.12])
  expectNear(first?.secondMoment, [0.00036, 0.00144])
  expectNear(first?.parameter, [0.9, -1.9])
})

test("AdamW takes weight decay off the weight: o = torch.optim.AdamW([w], lr=.1, weight_decay=.1)", () => {
  const [first] = updates(Optimizer.options("adamw", { weightDecay: 0.1 }), 0.1)
  expectNear(first?.firstMoment, [0.05, -0.1])
  // 1·(1 − 0.01) − 0.1,  −2·0.99 + 0.1
  expectNear(first?.parameter, [0.89, -1.88])
})

describe("usual settings", () => {
  test("are PyTorch's", () => {
    expect(Optimizer.options("adam")).toEqual({
      name: "adam",
      momentum: 0.9,
      weightDecay: 0,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
    })
    expect(Optimizer.options("adamw").weightDecay).toBe(0.01)
    expect(Optimizer.options("sgd", { momentum: 0.5 })).toMatchObject({ momentum: 0.5, weightDecay: 0 })
  })
  test("hyperparameters are the rate and the bias corrections 1 − βⁿ", () => {
    expectNear(Optimizer.hyperparameters(Optimizer.options("adam"), 0.1, 2), [0.1, 0.19, 0.001999])
  })
})
