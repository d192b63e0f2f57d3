/**
 * Adam (Kingma & Ba, ICLR 2015) and AdamW (Loshchilov & Hutter, ICLR 2019), as PyTorch's:
 *
 *     g = ∂w (+ δ·w for Adam);   for AdamW first w ← w·(1 − rate·δ)
 *     m ← β₁·m + (1 − β₁)·g,  v ← β₂·v + (1 − β₂)·g²
 *     w ← w − rate·(m/(1 − β₁ⁿ)) / (√(v/(1 − β₂ⁿ)) + ε)
 */
import { elementwise, make as kernel, type Reference } from "../kernel.ts"
import { size } from "../shape.ts"
import type { Optimizer } from "./optimizer.ts"

export interface AdamAttributes {
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  readonly weightDecay: number
  /** Weight decay acts on the weight itself (AdamW) rather than on the gradient (Adam). */
  readonly decoupled: boolean
}

export const adamUpdate = kernel<AdamAttributes>()({
  name: "optimizer.adam",
  operands: {
    parameter: "update",
    gradient: "read",
    firstMoment: "update",
    secondMoment: "update",
    hyperparameters: "read",
  },
})

export const adamUpdateReference: Reference<typeof adamUpdate> = {
  cost: ({ parameter }) => elementwise(size(parameter.shape), 10, 5),
  run: ({ parameter, gradient, firstMoment, secondMoment, hyperparameters }, attributes) => {
    const { beta1, beta2, epsilon, weightDecay, decoupled } = attributes
    const [rate, correction1, correction2] = hyperparameters.data as unknown as [number, number, number]
    for (let i = 0; i < parameter.data.length; i++) {
      const w = parameter.data[i]! * (decoupled ? 1 - rate * weightDecay : 1)
      const g = gradient.data[i]! + (decoupled ? 0 : weightDecay * w)
      const m = beta1 * firstMoment.data[i]! + (1 - beta1) * g
      const v = beta2 * secondMoment.data[i]! + (1 - beta2) * g * g
      firstMoment.data[i] = m
      secondMoment.data[i] = v
      parameter.data[i] = w - (rate * (m / correction1)) / (Math.sqrt(v / correction2) + epsilon)
    }
  },
}

const state = ["firstMoment", "secondMoment"]

export const adam: Optimizer = {
  kernel: adamUpdate,
  state,
  attributes: ({ beta1, beta2, epsilon, weightDecay }) => ({ beta1, beta2, epsilon, weightDecay, decoupled: false }),
}

export const adamw: Optimizer = {
  kernel: adamUpdate,
  state,
  attributes: ({ beta1, beta2, epsilon, weightDecay }) => ({ beta1, beta2, epsilon, weightDecay, decoupled: true }),
}
