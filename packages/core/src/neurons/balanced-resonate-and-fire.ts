import { of, sqrt } from "../expressions/expression.ts"
import { NonNegative, Positive, Share } from "../options.ts"
import { make, type NeuronLayer } from "./define.ts"

/**
 * Balanced resonate-and-fire neurons, BRF (Higuchi et al., ICML 2024): oscillators whose damping is bounded so that they cannot
 * diverge. A spike does not reset the neuron; it increases damping and threshold. Euler steps of length δ, with real part u,
 * imaginary part v and refractory variable q:
 *
 *     b = (−1 + √(1 − (δ·ω)²))/δ − b′ − q[t−1]
 *     u[t] = u[t−1] + δ·(b·u[t−1] − ω·v[t−1] + x[t]),  v[t] = v[t−1] + δ·(ω·u[t−1] + b·v[t−1])
 *     s[t] = [u[t] ≥ ϑ + q[t−1]],  q[t] = γ·q[t−1] + s[t]
 *
 * Parameters and defaults are the paper's: `frequency` ω (default 10), `dampingOffset` b′ (default 1), `threshold` ϑ (default 1),
 * `refractoryDecay` γ (default 0.9) and `timeStep` δ (default 0.01). δ·ω must not exceed 1. The states are `membrane` (u),
 * `imaginary` (v) and `refractory` (q).
 */
export const balancedResonateAndFire: NeuronLayer<
  "frequency" | "dampingOffset" | "threshold" | "refractoryDecay" | "timeStep",
  "membrane" | "imaginary" | "refractory"
> = /* @__PURE__ */ make("balancedResonateAndFire", {
  parameters: { frequency: 10, dampingOffset: 1, threshold: 1, refractoryDecay: 0.9, timeStep: 0.01 },
  ranges: { dampingOffset: NonNegative, refractoryDecay: Share, timeStep: Positive },
  states: ["membrane", "imaginary", "refractory"],
  step: ({ x, before: { membrane: u, imaginary: v, refractory: q }, p, spike }) => {
    const turn = p.frequency.times(p.timeStep)
    const bound = sqrt(of(1).minus(turn.times(turn)))
      .minus(1)
      .dividedBy(p.timeStep)
    const damping = bound.minus(p.dampingOffset).minus(q)
    const membrane = u.plus(damping.times(u).minus(v.times(p.frequency)).plus(x).times(p.timeStep))
    const imaginary = v.plus(u.times(p.frequency).plus(damping.times(v)).times(p.timeStep))
    const output = spike(membrane.minus(q.plus(p.threshold)))
    return { states: { membrane, imaginary, refractory: q.times(p.refractoryDecay).plus(output) }, output }
  },
})
