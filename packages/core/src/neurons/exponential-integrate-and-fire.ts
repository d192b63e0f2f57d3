import { type Expression, exp, of } from "../expressions/expression.ts"
import { Positive } from "../options.ts"
import { make, type NeuronLayer } from "./define.ts"
import { afterReset } from "./reset.ts"

/** The drive of an exponential neuron's potential: v_rest − v + Δ_T·e^((v − ϑ_rh)/Δ_T). */
export const exponentialDrive = (
  v: Expression,
  p: Readonly<Record<"restingPotential" | "slopeFactor" | "rheobaseThreshold", Expression>>,
): Expression =>
  p.restingPotential.minus(v).plus(exp(v.minus(p.rheobaseThreshold).dividedBy(p.slopeFactor)).times(p.slopeFactor))

/**
 * Exponential integrate-and-fire neurons (Fourcaud-Trocmé et al., Journal of Neuroscience 2003):
 * τ·dv/dt = v_rest − v + Δ_T·e^((v − ϑ_rh)/Δ_T) + x, discretised by the Euler method:
 *
 *     u[t] = v[t−1] + (x[t] + v_rest − v[t−1] + Δ_T·e^((v[t−1] − ϑ_rh)/Δ_T))/τ
 *     s[t] = [u[t] ≥ ϑ],  v[t] = v_reset if it fired, else u[t]
 *
 * `tau` is τ in time steps (default 2), `slopeFactor` Δ_T (default 0.2), `rheobaseThreshold` ϑ_rh (default 0.8), `restingPotential` v_rest
 * (default 0), `threshold` ϑ (default 1), `resetPotential` v_reset (default −0.1). `reset` is hard by default.
 */
export const exponentialIntegrateAndFire: NeuronLayer<
  "tau" | "slopeFactor" | "rheobaseThreshold" | "restingPotential" | "threshold" | "resetPotential",
  "membrane",
  "reset"
> = /* @__PURE__ */ make("exponentialIntegrateAndFire", {
  parameters: {
    ...{ tau: 2, slopeFactor: 0.2, rheobaseThreshold: 0.8 },
    ...{ restingPotential: 0, threshold: 1, resetPotential: -0.1 },
  },
  ranges: { tau: Positive, slopeFactor: Positive },
  choices: { reset: "hard" },
  states: ["membrane"],
  step: ({ x, before: { membrane: v }, p, choices, spike }) => {
    const u = v.plus(x.plus(exponentialDrive(v, p)).times(of(1).dividedBy(p.tau)))
    const output = spike(u.minus(p.threshold))
    return { states: { membrane: afterReset(choices.reset, u, output, p.threshold, p.resetPotential) }, output }
  },
})
