import { Schema } from "effect"
import { type Layer, leaf } from "../graph/builder.ts"
import type { Of } from "../options.ts"
import { build, type Definition } from "./define.ts"
import { TimeConstant } from "./leaky.ts"

/** The Schema of the options of {@link leakyReadout}. */
export const LeakyReadoutSchema: Of<{ readonly tau?: number }> = Schema.Struct({
  tau: Schema.optionalKey(TimeConstant),
})

/** The definition of leaky read-outs; λ is the parameter `decay`. */
export const readout: Definition<"decay", "membrane"> = {
  parameters: { decay: 1 },
  states: ["membrane"],
  surrogate: "none",
  step: ({ x, before, p }) => {
    const membrane = before.membrane.times(p.decay).plus(x)
    return { states: { membrane }, output: membrane }
  },
}

/**
 * A leaky read-out: a membrane that never fires; its potential is the output: y[t] = v[t] = λ·v[t−1] + x[t]. `tau` is the time
 * constant in time steps (at least 1, default 2); λ = 1 − 1/τ.
 */
export const leakyReadout = (options: { readonly tau?: number } = {}): Layer =>
  leaf("leakyReadout", LeakyReadoutSchema, options, (x, name, { tau = 2 }) =>
    build("leakyReadout", readout, { decay: 1 - 1 / tau }, x, name),
  )
