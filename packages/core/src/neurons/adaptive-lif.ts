import { Positive, Share } from "../options.ts"
import { make, type NeuronLayer } from "./define.ts"
import { afterReset } from "./reset-expression.ts"

/**
 * Adaptive leaky integrate-and-fire neurons: each spike raises the threshold, which decays back (Bellec et al., NeurIPS 2018):
 *
 *     a[t] = ρ·a[t−1] + s[t−1],  u[t] = λ·v[t−1] + x[t],  s[t] = [u[t] ≥ ϑ + β·a[t]],  v[t] = u[t] − ϑ·s[t]
 *
 * `decay` is λ (default 0.9), `adaptationDecay` ρ (default 0.97), `strength` β (default 0.5), `threshold` ϑ (default 1).
 */
export const adaptiveLif: NeuronLayer<"decay" | "adaptationDecay" | "strength" | "threshold"> = make("adaptiveLif", {
  parameters: { decay: 0.9, adaptationDecay: 0.97, strength: 0.5, threshold: 1 },
  ranges: { decay: Share, adaptationDecay: Share, threshold: Positive },
  states: ["membrane", "adaptation", "spike"],
  step: ({ x, before, p, spike }) => {
    const adaptation = before.adaptation.times(p.adaptationDecay).plus(before.spike)
    const u = before.membrane.times(p.decay).plus(x)
    const output = spike(u.minus(adaptation.times(p.strength).plus(p.threshold)))
    const membrane = afterReset("soft", u, output, p.threshold)
    return { states: { membrane, adaptation, spike: output }, output }
  },
})
