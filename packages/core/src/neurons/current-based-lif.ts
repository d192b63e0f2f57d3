import { of } from "../expressions/expression.ts"
import { Positive, Share } from "../options.ts"
import { make, type NeuronLayer } from "./define.ts"
import { afterReset } from "./reset.ts"

/**
 * Current-based leaky integrate-and-fire neurons: the input charges a decaying synaptic current, and the current charges the
 * membrane (Zenke & Ganguli, Neural Computation 2018; `Synaptic` in snnTorch):
 *
 *     i[t] = α·i[t−1] + x[t],  u[t] = λ·v[t−1] + i[t],  s[t] = [u[t] ≥ ϑ],  v[t] = u[t] − ϑ·s[t]
 *
 * `currentDecay` is α (default 0.9), `decay` λ (default 0.8), `threshold` ϑ (default 1). `reset` is soft by default; `decayInput`
 * scales the current by 1 − λ before it charges the membrane.
 */
export const currentBasedLif: NeuronLayer<
  "currentDecay" | "decay" | "threshold" | "resetPotential",
  "current" | "membrane",
  "reset" | "decayInput"
> = /* @__PURE__ */ make("currentBasedLif", {
  parameters: { currentDecay: 0.9, decay: 0.8, threshold: 1, resetPotential: 0 },
  ranges: { currentDecay: Share, decay: Share, threshold: Positive },
  choices: { reset: "soft", decayInput: false },
  states: ["current", "membrane"],
  step: ({ x, before, p, choices, spike }) => {
    const current = before.current.times(p.currentDecay).plus(x)
    const charge = choices.decayInput ? current.times(of(1).minus(p.decay)) : current
    const u = before.membrane.times(p.decay).plus(charge)
    const output = spike(u.minus(p.threshold))
    return {
      states: { current, membrane: afterReset(choices.reset, u, output, p.threshold, p.resetPotential) },
      output,
    }
  },
})
