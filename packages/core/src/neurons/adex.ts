import { of } from "../expressions/expression.ts"
import { Positive } from "../options.ts"
import { make, type NeuronLayer } from "./define.ts"
import { exponentialDrive } from "./exponential-integrate-and-fire.ts"
import { afterReset } from "./reset.ts"

/**
 * Adaptive exponential integrate-and-fire neurons, AdEx (Brette & Gerstner, Journal of Neurophysiology 2005): τ·dv/dt = v_rest − v
 * + Δ_T·e^((v − ϑ_rh)/Δ_T) − w + x and τ_w·dw/dt = a·(v − v_rest) − w, discretised by the Euler method with one step per time step:
 *
 *     u[t] = v[t−1] + (x[t] − w[t−1] + v_rest − v[t−1] + Δ_T·e^((v[t−1] − ϑ_rh)/Δ_T))/τ,  s[t] = [u[t] ≥ ϑ]
 *     v[t] = v_reset if it fired, else u[t]
 *     w[t] = w[t−1] + (a·(v[t−1] − v_rest) − w[t−1])/τ_w + b·s[t]
 *
 * Currents are divided by the leak conductance, so they have the unit of the potential. The defaults are the paper's, for 1 ms per
 * time step and potentials in units of 25 mV above rest: `tau` τ = 9.4, `adaptationTau` τ_w = 144, `a` 0.13, `b` 0.11,
 * `slopeFactor` Δ_T = 0.08, `rheobaseThreshold` ϑ_rh = 0.8, `restingPotential` and `resetPotential` 0; `threshold` ϑ = 1. The reset
 * is hard.
 */
export const adEx: NeuronLayer<
  | "tau"
  | "adaptationTau"
  | "a"
  | "b"
  | "slopeFactor"
  | "rheobaseThreshold"
  | "restingPotential"
  | "threshold"
  | "resetPotential",
  "membrane" | "adaptation"
> = /* @__PURE__ */ make("adEx", {
  parameters: {
    ...{ tau: 9.4, adaptationTau: 144, a: 0.13, b: 0.11, slopeFactor: 0.08, rheobaseThreshold: 0.8 },
    ...{ restingPotential: 0, threshold: 1, resetPotential: 0 },
  },
  ranges: { tau: Positive, adaptationTau: Positive, slopeFactor: Positive },
  states: ["membrane", "adaptation"],
  step: ({ x, before: { membrane: v, adaptation: w }, p, spike }) => {
    const u = v.plus(x.minus(w).plus(exponentialDrive(v, p)).times(of(1).dividedBy(p.tau)))
    const output = spike(u.minus(p.threshold))
    const pull = v.minus(p.restingPotential).times(p.a).minus(w).times(of(1).dividedBy(p.adaptationTau))
    return {
      states: {
        membrane: afterReset("hard", u, output, p.threshold, p.resetPotential),
        adaptation: w.plus(pull).plus(output.times(p.b)),
      },
      output,
    }
  },
})
