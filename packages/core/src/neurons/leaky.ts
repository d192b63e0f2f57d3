/**
 * Spiking neurons with a single leaky state, the membrane:
 *
 *     u[t] = λ·v[t−1] + x[t]        charge
 *     s[t] = [u[t] ≥ ϑ]             fire
 *     v[t] = reset(u[t], s[t])      reset
 */
import { Schema } from "effect"
import { must, type Of, Positive } from "../options.ts"
import { type Definition, firingFields, type NeuronOptions } from "./define.ts"
import { afterReset, type Reset, ResetSchema } from "./reset.ts"

/** Options of leaky neurons. */
export interface FiringOptions extends NeuronOptions {
  /** ϑ, greater than 0. Default 1. */
  readonly threshold?: number
  /** The effect of a spike on the membrane potential. Default "soft". */
  readonly reset?: Reset
}

/** The Schema of {@link FiringOptions}. */
export const FiringSchema: Of<FiringOptions> = Schema.Struct({
  threshold: Schema.optionalKey(Positive),
  reset: Schema.optionalKey(ResetSchema),
  ...firingFields,
})

/** A time constant in time steps. */
export const TimeConstant: Schema.Number = Schema.Number.check(must("a number of at least 1", (tau) => tau >= 1))

/** The definition of leaky neurons: λ is the parameter `decay`, ϑ is `threshold`. */
export const leaky: Definition<"decay" | "threshold", "membrane", "reset"> = {
  parameters: { decay: 1, threshold: 1 },
  choices: { reset: "soft" },
  states: ["membrane"],
  step: ({ x, before, p, choices, spike }) => {
    const u = before.membrane.times(p.decay).plus(x)
    const output = spike(u.minus(p.threshold))
    return { states: { membrane: afterReset(choices.reset, u, output, p.threshold) }, output }
  },
}
