/**
 * Sigma-delta neurons send changes only (O'Connor & Welling, ICLR 2017; Yousefzadeh et al., AICAS 2019; `SigmaDelta` of Lava): what they
 * have sent adds up to their activation, up to the threshold.
 */
import { absolute, type Expression, maximum } from "../expressions/expression.ts"
import { Positive } from "../options.ts"
import { make, type NeuronLayer } from "./define.ts"

/** What is sent of an activation, of which `sent` is known: the change, where it reaches the threshold. */
const encode = (
  activation: Expression,
  sent: Expression,
  threshold: Expression,
  spike: (z: Expression) => Expression,
) => {
  const change = activation.minus(sent)
  const output = change.times(spike(absolute(change).minus(threshold)))
  return { sent: sent.plus(output), output }
}

/**
 * Delta encoder: fires on change, a graded spike of the change itself:
 *
 *     δ[t] = x[t] − r[t−1],  y[t] = δ[t]·[|δ[t]| ≥ ϑ],  r[t] = r[t−1] + y[t]
 *
 * `threshold` is ϑ (default 0.1). The state `sent` (r) is the sum of what was sent.
 */
export const deltaEncoder: NeuronLayer<"threshold", "sent"> = /* @__PURE__ */ make("deltaEncoder", {
  parameters: { threshold: 0.1 },
  ranges: { threshold: Positive },
  states: ["sent"],
  step: ({ x, before, p, spike }) => {
    const { sent, output } = encode(x, before.sent, p.threshold, spike)
    return { states: { sent }, output }
  },
})

/**
 * Sigma-delta neurons: changes that arrive add up (Σ), and changes of the activation leave (Δ), as of {@link deltaEncoder}:
 *
 *     σ[t] = σ[t−1] + x[t],  a[t] = max(0, σ[t] + bias)
 *     δ[t] = a[t] − r[t−1],  y[t] = δ[t]·[|δ[t]| ≥ ϑ],  r[t] = r[t−1] + y[t]
 *
 * `threshold` is ϑ (default 0.1). `bias` (default 0) takes the place of the bias of the layer before, whose outputs are changes.
 */
export const sigmaDelta: NeuronLayer<"threshold" | "bias", "sigma" | "sent"> = /* @__PURE__ */ make("sigmaDelta", {
  parameters: { threshold: 0.1, bias: 0 },
  ranges: { threshold: Positive },
  states: ["sigma", "sent"],
  step: ({ x, before, p, spike }) => {
    const sigma = before.sigma.plus(x)
    const { sent, output } = encode(maximum(sigma.plus(p.bias), 0), before.sent, p.threshold, spike)
    return { states: { sigma, sent }, output }
  },
})
