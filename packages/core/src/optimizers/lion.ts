import { constant } from "../expressions/expression.ts"
import { NonNegative, ShareBelowOne } from "../options.ts"
import { make, type OptimizerKind } from "./optimizer.ts"

/**
 * Lion (Chen et al., NeurIPS 2023): w ← w − rate·(sign(β₁·m + (1 − β₁)·∂w) + δ·w),  m ← β₂·m + (1 − β₂)·∂w. Every weight changes by
 * the learning rate, which should be 3 to 10 times smaller than for Adam. Defaults: β₁ 0.9, β₂ 0.99, weight decay δ 0.
 */
export const lion: OptimizerKind<"beta1" | "beta2" | "weightDecay"> = /* @__PURE__ */ make("lion", {
  options: { beta1: 0.9, beta2: 0.99, weightDecay: 0 },
  ranges: { beta1: ShareBelowOne, beta2: ShareBelowOne, weightDecay: NonNegative },
  states: ["momentum"],
  step: ({ weight, gradient, before, options: { beta1, beta2, weightDecay }, rate }) => {
    const direction = before.momentum.times(beta1).plus(gradient.times(1 - beta1))
    const sign = direction.greaterThan(0).minus(constant(0).greaterThan(direction))
    const momentum = before.momentum.times(beta2).plus(gradient.times(1 - beta2))
    return { weight: weight.minus(rate.times(sign.plus(weight.times(weightDecay)))), states: { momentum } }
  },
})
