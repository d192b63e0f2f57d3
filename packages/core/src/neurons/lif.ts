import { Schema } from "effect"
import { type Layer, leaf } from "../graph/builder.ts"
import type { Of } from "../options.ts"
import { build } from "./define.ts"
import { type FiringOptions, FiringSchema, leaky, TimeConstant } from "./leaky.ts"

/** Options of {@link lif} and {@link plif}. */
export interface LifOptions extends FiringOptions {
  /**
   * Membrane time constant in time steps, at least 1; the decay is λ = 1 − 1/τ. Infinity means no leak (integrate-and-fire).
   * Default 1.1, as in the SLTT paper.
   */
  readonly tau?: number
}

/** The Schema of {@link LifOptions}, for {@link lif}. */
export const LifSchema: Of<LifOptions> = Schema.Struct({
  ...FiringSchema.fields,
  tau: Schema.optionalKey(TimeConstant),
})

/**
 * Leaky integrate-and-fire neurons, one per element:
 *
 *     u[t] = (1 − 1/τ)·v[t−1] + x[t],  s[t] = [u[t] ≥ ϑ],  v[t] = u[t] − ϑ·s[t]
 *
 * The input is not scaled by 1/τ (SpikingJelly's `decay_input=False`). The reset is soft by default.
 *
 * @throws GraphError while the graph is built, for invalid options
 */
export const lif = (options: LifOptions = {}): Layer =>
  leaf<LifOptions>("lif", LifSchema, options, (x, name, { tau = 1.1, ...given }) =>
    build("lif", leaky, { ...given, decay: 1 - 1 / tau }, x, name),
  )
