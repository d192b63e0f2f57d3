import { Schema } from "effect"
import { type Layer, leaf } from "../graph/builder.ts"
import type { Of } from "../options.ts"
import { build } from "./define.ts"
import { type FiringOptions, FiringSchema, leaky, TimeConstant } from "./leaky.ts"

export interface LifOptions extends FiringOptions {
  /** Membrane time constant in time steps, at least 1; the decay is λ = 1 − 1/τ. Infinity is no leak, as of integrate-and-fire neurons. Default 1.1, the SLTT paper's. */
  readonly tau?: number
}

export const LifSchema: Of<LifOptions> = Schema.Struct({
  ...FiringSchema.fields,
  tau: Schema.optionalKey(TimeConstant),
})

/**
 * Leaky integrate-and-fire neurons, one for each element: u[t] = (1 − 1/τ)·v[t−1] + x[t]. The input is not scaled by 1/τ
 * ("decay_input" off in SpikingJelly's words).
 */
export const lif = (options: LifOptions = {}): Layer =>
  leaf<LifOptions>("lif", LifSchema, options, (x, name, { tau = 1.1, ...given }) =>
    build("lif", leaky, { ...given, decay: 1 - 1 / tau }, x, name),
  )
