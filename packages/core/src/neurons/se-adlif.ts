import { of } from "../expressions/expression.ts"
import { NonNegative, Positive, Share } from "../options.ts"
import { make, type NeuronLayer } from "./define.ts"
import { afterReset } from "./reset.ts"

/**
 * Adaptive leaky integrate-and-fire neurons with symplectic Euler discretisation: the adaptation current w depends on the membrane potential and
 * the spikes of the same step (Baronig et al., Nature Communications 2025; arXiv 2408.07517, 2024):
 *
 *     u[t] = α·v[t−1] + (1 − α)·(x[t] − w[t−1]),  s[t] = [u[t] ≥ ϑ],  v[t] = u[t]·(1 − s[t])
 *     w[t] = β·w[t−1] + (1 − β)·(a·v[t] + b·s[t])
 *
 * `decay` is α (default 0.93, τ = 14 steps), `adaptationDecay` β (default 0.99, τ = 100 steps); `a` and `b` (both 60 by default) are the paper's
 * values multiplied by its factor q = 120; `threshold` is ϑ (default 1). `reset` is hard by default. The paper cuts the gradient of
 * the reset: `Policy.detach("reset")`.
 */
export const seAdLif: NeuronLayer<
  "decay" | "adaptationDecay" | "a" | "b" | "threshold" | "resetPotential",
  "membrane" | "adaptation",
  "reset"
> = /* @__PURE__ */ make("seAdLif", {
  parameters: { decay: 0.93, adaptationDecay: 0.99, a: 60, b: 60, threshold: 1, resetPotential: 0 },
  ranges: { decay: Share, adaptationDecay: Share, a: NonNegative, b: NonNegative, threshold: Positive },
  choices: { reset: "hard" },
  states: ["membrane", "adaptation"],
  step: ({ x, before, p, choices, spike }) => {
    const u = before.membrane.times(p.decay).plus(x.minus(before.adaptation).times(of(1).minus(p.decay)))
    const output = spike(u.minus(p.threshold))
    const membrane = afterReset(choices.reset, u, output, p.threshold, p.resetPotential)
    const drive = membrane.times(p.a).plus(output.times(p.b))
    const adaptation = before.adaptation.times(p.adaptationDecay).plus(drive.times(of(1).minus(p.adaptationDecay)))
    return { states: { membrane, adaptation }, output }
  },
})
