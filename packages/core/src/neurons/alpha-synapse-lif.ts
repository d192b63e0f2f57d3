import { log, of } from "../expressions/expression.ts"
import { Float32, must, Positive, Share } from "../options.ts"
import { make, type NeuronLayer } from "./define.ts"
import { afterReset } from "./reset.ts"

const InnerShare = /* @__PURE__ */ Float32.check(
  /* @__PURE__ */ must("a number greater than 0 and less than 1", (x) => x > 0 && Math.fround(x) < 1),
)

/**
 * Leaky integrate-and-fire neurons with α-function synapses (Rall, Journal of Neurophysiology 1967): the current of a spike rises
 * and falls as e·(t/τ)·e^(−t/τ), with its peak of 1 at t = τ. The discretisation is exact (Rotter & Diesmann, Biological
 * Cybernetics 1999; NEST's `iaf_psc_alpha`), with α = e^(−1/τ):
 *
 *     r[t] = α·r[t−1] + (e/τ)·x[t],  i[t] = α·(i[t−1] + r[t−1])
 *     u[t] = λ·v[t−1] + i[t],  s[t] = [u[t] ≥ ϑ],  v[t] = u[t] − ϑ·s[t]
 *
 * `currentDecay` is α (between 0 and 1, default 0.8), `decay` λ (default 0.8), `threshold` ϑ (default 1). `reset` is soft by
 * default; `decayInput` scales the current by 1 − λ before it charges the membrane.
 */
export const alphaSynapseLif: NeuronLayer<
  "currentDecay" | "decay" | "threshold" | "resetPotential",
  "rise" | "current" | "membrane",
  "reset" | "decayInput"
> = /* @__PURE__ */ make("alphaSynapseLif", {
  parameters: { currentDecay: 0.8, decay: 0.8, threshold: 1, resetPotential: 0 },
  ranges: { currentDecay: InnerShare, decay: Share, threshold: Positive },
  choices: { reset: "soft", decayInput: false },
  states: ["rise", "current", "membrane"],
  step: ({ x, before, p, choices, spike }) => {
    // 1/τ = −ln α
    const rise = before.rise.times(p.currentDecay).plus(x.times(log(p.currentDecay).times(-Math.E)))
    const current = before.current.plus(before.rise).times(p.currentDecay)
    const charge = choices.decayInput ? current.times(of(1).minus(p.decay)) : current
    const u = before.membrane.times(p.decay).plus(charge)
    const output = spike(u.minus(p.threshold))
    const membrane = afterReset(choices.reset, u, output, p.threshold, p.resetPotential)
    return { states: { rise, current, membrane }, output }
  },
})
