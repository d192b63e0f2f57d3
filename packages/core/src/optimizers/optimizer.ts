/**
 * Optimisers change the weights once a batch. What changes from batch to batch reaches them through `hyperparameters`, a buffer
 * of three numbers: the learning rate and the bias corrections 1 − β₁ⁿ and 1 − β₂ⁿ of update n.
 */
import { Schema } from "effect"
import type { AnyKernel } from "../kernel.ts"
import { NonNegative, oneOf, Positive, ShareBelowOne } from "../options.ts"

export interface OptimizerOptions {
  readonly name: "sgd" | "adam" | "adamw"
  /** sgd: the share of the last update that is kept, at least 0. */
  readonly momentum: number
  /** At least 0. */
  readonly weightDecay: number
  /** adam, adamw: decay rates of the moments, at least 0 and less than 1. */
  readonly beta1: number
  readonly beta2: number
  /** Greater than 0. */
  readonly epsilon: number
}

export const OptimizerSchema: Schema.Struct<{
  readonly name: Schema.Literals<ReadonlyArray<OptimizerOptions["name"]>>
  readonly momentum: Schema.Finite
  readonly weightDecay: Schema.Finite
  readonly beta1: Schema.Finite
  readonly beta2: Schema.Finite
  readonly epsilon: Schema.Finite
}> = Schema.Struct({
  name: oneOf(["sgd", "adam", "adamw"]),
  momentum: NonNegative,
  weightDecay: NonNegative,
  beta1: ShareBelowOne,
  beta2: ShareBelowOne,
  epsilon: Positive,
})

export interface Optimizer {
  readonly kernel: AnyKernel
  /** Names of the kernel's operands of a parameter's shape that are kept from update to update. */
  readonly state: ReadonlyArray<string>
  readonly attributes: (options: OptimizerOptions) => Readonly<Record<string, unknown>>
}
