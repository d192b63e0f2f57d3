import { sqrt } from "../expressions/expression.ts"
import { NonNegative, Positive, ShareBelowOne } from "../options.ts"
import { make, type OptimizerKind } from "./optimizer.ts"

type Options = "beta1" | "beta2" | "epsilon" | "weightDecay"

const kind = (name: string, weightDecay: number, isDecoupled: boolean): OptimizerKind<Options> =>
  make(name, {
    options: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay },
    ranges: { beta1: ShareBelowOne, beta2: ShareBelowOne, epsilon: Positive, weightDecay: NonNegative },
    states: ["firstMoment", "secondMoment"],
    numbers: ({ rate, update, options }) => ({
      size: rate / (1 - options.beta1 ** update),
      scale: 1 / Math.sqrt(1 - options.beta2 ** update),
      shrink: 1 - rate * options.weightDecay,
    }),
    step: ({ weight, gradient, before, options, numbers }) => {
      const { beta1, beta2, epsilon } = options
      const w = isDecoupled && options.weightDecay !== 0 ? weight.times(numbers.shrink) : weight
      const g = isDecoupled ? gradient : gradient.plus(weight.times(options.weightDecay))
      const firstMoment = before.firstMoment.times(beta1).plus(g.times(1 - beta1))
      const secondMoment = before.secondMoment.times(beta2).plus(g.times(1 - beta2).times(g))
      const step = numbers.size.times(firstMoment).dividedBy(sqrt(secondMoment).times(numbers.scale).plus(epsilon))
      return { weight: w.minus(step), states: { firstMoment, secondMoment } }
    },
  })

/**
 * Adam (Kingma & Ba, ICLR 2015), as in PyTorch: g = ∂w + δ·w,  m ← β₁·m + (1 − β₁)·g,  v ← β₂·v + (1 − β₂)·g², w ← w − rate·(m/(1 −
 * β₁ⁿ)) / (√(v/(1 − β₂ⁿ)) + ε). Defaults: β₁ 0.9, β₂ 0.999, ε 1e-8, weight decay δ 0.
 */
export const adam: OptimizerKind<Options> = /* @__PURE__ */ kind("adam", 0, false)

/** AdamW (Loshchilov & Hutter, ICLR 2019), as in PyTorch: Adam with g = ∂w, preceded by w ← w·(1 − rate·δ). Default δ: 0.01. */
export const adamw: OptimizerKind<Options> = /* @__PURE__ */ kind("adamw", 0.01, true)
