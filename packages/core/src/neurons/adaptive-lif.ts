import { of } from "../expressions/expression.ts"
import { Positive, Share } from "../options.ts"
import { make, type NeuronLayer } from "./define.ts"
import { afterReset } from "./reset.ts"

/**
 * Adaptive leaky integrate-and-fire neurons: each spike raises the threshold, which then decays (Bellec et al., NeurIPS 2018):
 *
 *     a[t] = ρ·a[t−1] + s[t−1],  u[t] = λ·v[t−1] + x[t],  s[t] = [u[t] ≥ ϑ + β·a[t]],  v[t] = u[t] − ϑ·s[t]
 *
 * `decay` is λ (default 0.9), `adaptationDecay` ρ (default 0.97), `strength` β (default 0.5), `threshold` ϑ (default 1). `reset` is
 * soft by default; `decayInput` scales x by 1 − λ.
 */
export const adaptiveLif: NeuronLayer<
  "decay" | "adaptationDecay" | "strength" | "threshold" | "resetPotential",
  "membrane" | "adaptation" | "spike",
  "reset" | "decayInput"
> = /* @__PURE__ */ make("adaptiveLif", {
  parameters: { decay: 0.9, adaptationDecay: 0.97, strength: 0.5, threshold: 1, resetPotential: 0 },
  ranges: { decay: Share, adaptationDecay: Share, threshold: Positive },
  choices: { reset: "soft", decayInput: false },
  states: ["membrane", "adaptation", "spike"],
  step: ({ x, before, p, choices, spike }) => {
    const adaptation = before.adaptation.times(p.adaptationDecay).plus(before.spike)
    const u = before.membrane.times(p.decay).plus(choices.decayInput ? x.times(of(1).minus(p.decay)) : x)
    const output = spike(u.minus(adaptation.times(p.strength).plus(p.threshold)))
    const membrane = afterReset(choices.reset, u, output, p.threshold, p.resetPotential)
    return { states: { membrane, adaptation, spike: output }, output }
  },
})
