import { OptionError } from "../errors.ts"
import type { Optimizer, OptimizerKind } from "./optimizer.ts"
import * as table from "./table.ts"

export { type Definition, make, type Optimizer, type OptimizerKind, OptimizerSchema, type Step } from "./optimizer.ts"
export * from "./table.ts"

export type OptimizerName = keyof typeof table

/** Kinds of optimisers by name. */
export const optimizers: { readonly [N in OptimizerName]: OptimizerKind } = table

export const optimizerNames = Object.keys(optimizers) as ReadonlyArray<OptimizerName>

/**
 * An optimiser by name, as settings have it. An unknown name and options out of range are refused by the trainer that is given it.
 *
 * @example Optimizer.options("adam", { weightDecay: 0.01 })
 */
export const options = (name: OptimizerName, chosen: Readonly<Record<string, number>> = {}): Optimizer => {
  try {
    if (Object.hasOwn(optimizers, name)) return optimizers[name](chosen)
  } catch (error) {
    if (!(error instanceof OptionError)) throw error
  }
  return { name, options: chosen } as Optimizer
}
