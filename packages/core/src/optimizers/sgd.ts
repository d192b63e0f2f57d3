/**
 * Stochastic gradient descent with momentum μ and weight decay δ, as PyTorch's: m ← μ·m + (∂w + δ·w),  w ← w − rate·m.
 */
import { elementwise, make as kernel, type Reference } from "../kernel.ts"
import { size } from "../shape.ts"
import type { Optimizer } from "./optimizer.ts"

export interface SgdAttributes {
  readonly momentum: number
  readonly weightDecay: number
}

export const sgdUpdate = kernel<SgdAttributes>()({
  name: "optimizer.sgd",
  operands: { parameter: "update", gradient: "read", velocity: "update", hyperparameters: "read" },
})

export const sgdUpdateReference: Reference<typeof sgdUpdate> = {
  cost: ({ parameter }) => elementwise(size(parameter.shape), 3, 3),
  run: ({ parameter, gradient, velocity, hyperparameters }, { momentum, weightDecay }) => {
    const rate = hyperparameters.data[0]!
    for (let i = 0; i < parameter.data.length; i++) {
      velocity.data[i] = momentum * velocity.data[i]! + gradient.data[i]! + weightDecay * parameter.data[i]!
      parameter.data[i]! -= rate * velocity.data[i]!
    }
  },
}

export const sgd: Optimizer = {
  kernel: sgdUpdate,
  state: ["velocity"],
  attributes: ({ momentum, weightDecay }) => ({ momentum, weightDecay }),
}
