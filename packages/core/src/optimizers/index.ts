import { OptionError } from "../errors.ts"
import type { Optimizer, OptimizerKind } from "./optimizer.ts"
import * as table from "./table.ts"

export { type Definition, make, type Optimizer, type OptimizerKind, OptimizerSchema, type Step } from "./optimizer.ts"
export * from "./table.ts"

/** The name of an optimiser. */
export type OptimizerName = keyof typeof table

/** The optimisers by name. */
export const optimizers: { readonly [N in OptimizerName]: OptimizerKind } = table

/** The names of all optimisers. */
export const optimizerNames = Object.keys(optimizers) as ReadonlyArray<OptimizerName>

/**
 * An optimiser by name, for settings files. It does not throw for an unknown name or options out of range; compiling a program with
 * it fails.
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
