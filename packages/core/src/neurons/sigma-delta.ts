/**
 * Sigma-delta neurons transmit changes only (O'Connor & Welling, ICLR 2017; Yousefzadeh et al., AICAS 2019; `SigmaDelta` in Lava):
 * the sum of transmitted values tracks their activation within the threshold.
 */
import { absolute, type Expression, maximum } from "../expressions/expression.ts"
import { Positive } from "../options.ts"
import { make, type NeuronLayer } from "./define.ts"

/** The change of an activation since the last transmission, if it reaches the threshold; `sent` is the sum transmitted so far. */
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
 * Delta encoder: fires on change; a graded spike carries the change:
 *
 *     δ[t] = x[t] − r[t−1],  y[t] = δ[t]·[|δ[t]| ≥ ϑ],  r[t] = r[t−1] + y[t]
 *
 * `threshold` is ϑ (default 0.1). The state `sent` (r) is the sum of all outputs.
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
 * Sigma-delta neurons: they sum incoming changes (Σ), and transmit changes of their activation (Δ) like {@link deltaEncoder}:
 *
 *     σ[t] = σ[t−1] + x[t],  a[t] = max(0, σ[t] + bias)
 *     δ[t] = a[t] − r[t−1],  y[t] = δ[t]·[|δ[t]| ≥ ϑ],  r[t] = r[t−1] + y[t]
 *
 * `threshold` is ϑ (default 0.1). `bias` (default 0) replaces the bias of the preceding layer, whose outputs are changes.
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
