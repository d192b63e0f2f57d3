/**
 * Optimisers change the weights once a batch. What changes from batch to batch reaches them through `hyperparameters`, a buffer
 * of three numbers: the learning rate and the bias corrections 1 − β₁ⁿ and 1 − β₂ⁿ of update n.
 */
import { Schema } from "effect"
import type { AnyKernel } from "../kernel.ts"

const NonNegative = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))

export const OptimizerSchema = Schema.Struct({
  name: Schema.Literals(["sgd", "adam", "adamw"]),
  /** sgd: the share of the last update that is kept. */
  momentum: NonNegative,
  weightDecay: NonNegative,
  /** adam, adamw: decay rates of the moments. */
  beta1: NonNegative,
  beta2: NonNegative,
  epsilon: NonNegative,
})

export type OptimizerOptions = typeof OptimizerSchema.Type

export interface Optimizer {
  readonly kernel: AnyKernel
  /** Names of the kernel's operands of a parameter's shape that are kept from update to update. */
  readonly state: ReadonlyArray<string>
  readonly attributes: (options: OptimizerOptions) => Readonly<Record<string, unknown>>
}
