import { maximum } from "../expressions/expression.ts"
import { Positive } from "../options.ts"
import { charged } from "./charge.ts"
import { make, type NeuronLayer } from "./define.ts"
import { TimeConstant } from "./leaky.ts"
import { afterReset } from "./reset.ts"

/**
 * Leaky integrate-and-analog-fire neurons (Wu et al., IEEE Transactions on Neural Networks and Learning Systems 2021): spikes reset
 * the membrane, but the output is analog:
 *
 *     u[t] = v[t−1] + (x[t] − (v[t−1] − v_reset))/τ,  s[t] = [u[t] ≥ ϑ],  v[t] = v_reset if it fired, else u[t]
 *     y[t] = max(0, u[t] − ϑ); with `thresholdRelated` false, max(0, u[t])
 *
 * `tau` is τ in time steps (at least 1, default 2), `threshold` ϑ (default 1), `resetPotential` v_reset (default 0). `reset` is
 * hard by default; with `decayInput` false, x is not divided by τ.
 */
export const liaf: NeuronLayer<
  "tau" | "threshold" | "resetPotential",
  "membrane",
  "reset" | "decayInput" | "thresholdRelated"
> = /* @__PURE__ */ make("liaf", {
  parameters: { tau: 2, threshold: 1, resetPotential: 0 },
  ranges: { tau: TimeConstant, threshold: Positive },
  choices: { reset: "hard", decayInput: true, thresholdRelated: true },
  states: ["membrane"],
  step: ({ x, before, p, choices, spike }) => {
    const u = charged(before.membrane, x, p, choices)
    const above = u.minus(p.threshold)
    const membrane = afterReset(choices.reset, u, spike(above), p.threshold, p.resetPotential)
    return { states: { membrane }, output: maximum(choices.thresholdRelated ? above : u, 0) }
  },
})
