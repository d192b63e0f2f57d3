import { NonNegative } from "../options.ts"
import { make, type OptimizerKind } from "./optimizer.ts"

/**
 * Stochastic gradient descent with momentum μ (default 0.9, as in the SLTT paper) and weight decay δ (default 0), as in PyTorch: m
 * ← μ·m + (∂w + δ·w),  w ← w − rate·m.
 */
export const sgd: OptimizerKind<"momentum" | "weightDecay"> = /* @__PURE__ */ make("sgd", {
  options: { momentum: 0.9, weightDecay: 0 },
  ranges: { momentum: NonNegative, weightDecay: NonNegative },
  states: ["velocity"],
  step: ({ weight, gradient, before, options: { momentum, weightDecay }, rate }) => {
    const velocity = before.velocity.times(momentum).plus(gradient.plus(weight.times(weightDecay)))
    return { weight: weight.minus(rate.times(velocity)), states: { velocity } }
  },
})
