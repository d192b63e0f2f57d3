/** The table of optimisers: a file and a line here for each. */
import { adam, adamw } from "./adam.ts"
import type { Optimizer, OptimizerOptions } from "./optimizer.ts"
import { sgd } from "./sgd.ts"

export { type OptimizerOptions, OptimizerSchema } from "./optimizer.ts"

export const optimizers: { readonly [N in OptimizerOptions["name"]]: Optimizer } = { sgd, adam, adamw }

export const optimizerNames = Object.keys(optimizers) as ReadonlyArray<OptimizerOptions["name"]>

/** An optimiser by name with PyTorch's usual settings (and the momentum of 0.9 that the SLTT paper trains with). */
export const options = (
  name: OptimizerOptions["name"],
  chosen: Partial<Omit<OptimizerOptions, "name">> = {},
): OptimizerOptions => ({
  name,
  momentum: 0.9,
  weightDecay: name === "adamw" ? 0.01 : 0,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  ...chosen,
})

/** What the `hyperparameters` buffer holds for update `n`, counted from 1. */
export const hyperparameters = ({ beta1, beta2 }: OptimizerOptions, learningRate: number, n: number): Float32Array =>
  Float32Array.of(learningRate, 1 - beta1 ** n, 1 - beta2 ** n)
