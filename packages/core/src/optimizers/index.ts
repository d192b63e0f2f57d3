import type { OptimizerKind } from "./optimizer.ts"
import * as table from "./table.ts"

export { type Definition, make, type Optimizer, type OptimizerKind, OptimizerSchema, type Step } from "./optimizer.ts"
export * from "./table.ts"

export type OptimizerName = keyof typeof table

/** Kinds of optimisers by name. */
export const optimizers: { readonly [N in OptimizerName]: OptimizerKind } = table

export const optimizerNames = Object.keys(optimizers) as ReadonlyArray<OptimizerName>
