import { of } from "../expressions/expression.ts"
import { Positive } from "../options.ts"
import { make, type NeuronLayer } from "./define.ts"
import { afterReset } from "./reset.ts"

/**
 * Quadratic integrate-and-fire neurons (Ermentrout & Kopell, SIAM Journal on Applied Mathematics 1986; Latham et al., Journal of
 * Neurophysiology 2000): τ·dv/dt = a₀·(v − v_rest)·(v − v_c) + x, discretised by the Euler method:
 *
 *     u[t] = v[t−1] + (x[t] + a₀·(v[t−1] − v_rest)·(v[t−1] − v_c))/τ
 *     s[t] = [u[t] ≥ ϑ],  v[t] = v_reset if it fired, else u[t]
 *
 * `tau` is τ in time steps (default 2), `a0` a₀ (default 1), `restingPotential` v_rest (default 0), `criticalPotential` v_c (default 0.8), above
 * which a neuron fires without input, `threshold` ϑ (default 1), `resetPotential` v_reset (default −0.1). `reset` is hard by default.
 */
export const quadraticIntegrateAndFire: NeuronLayer<
  "tau" | "a0" | "restingPotential" | "criticalPotential" | "threshold" | "resetPotential",
  "membrane",
  "reset"
> = /* @__PURE__ */ make("quadraticIntegrateAndFire", {
  parameters: { tau: 2, a0: 1, restingPotential: 0, criticalPotential: 0.8, threshold: 1, resetPotential: -0.1 },
  ranges: { tau: Positive, a0: Positive },
  choices: { reset: "hard" },
  states: ["membrane"],
  step: ({ x, before: { membrane: v }, p, choices, spike }) => {
    const drive = v.minus(p.restingPotential).times(v.minus(p.criticalPotential)).times(p.a0)
    const u = v.plus(x.plus(drive).times(of(1).dividedBy(p.tau)))
    const output = spike(u.minus(p.threshold))
    return { states: { membrane: afterReset(choices.reset, u, output, p.threshold, p.resetPotential) }, output }
  },
})
