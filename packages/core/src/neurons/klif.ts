import { maximum } from "../expressions/expression.ts"
import { learn } from "../expressions/layer.ts"
import { Positive } from "../options.ts"
import { charged } from "./charge.ts"
import { make, type NeuronLayer } from "./define.ts"
import { TimeConstant } from "./leaky.ts"
import { afterReset } from "./reset.ts"

/**
 * KLIF neurons, which train a scale k of the membrane potential and thereby the slope of the surrogate (Jiang & Zhang, arXiv
 * 2302.09238, 2023):
 *
 *     h[t] = v[t−1] + (x[t] − (v[t−1] − v_reset))/τ,  u[t] = max(0, k·h[t])
 *     s[t] = [u[t] ≥ ϑ],  v[t] = v_reset if it fired, else u[t]
 *
 * `tau` is τ in time steps (at least 1, default 2), `k` is trained and starts at 1, `threshold` is ϑ (default 1), `resetPotential`
 * v_reset (default 0). `reset` is hard by default; with `decayInput` false, x is not divided by τ.
 */
export const klif: NeuronLayer<"tau" | "k" | "threshold" | "resetPotential", "membrane", "reset" | "decayInput"> =
  /* @__PURE__ */ make("klif", {
    parameters: { tau: 2, k: /* @__PURE__ */ learn(1), threshold: 1, resetPotential: 0 },
    ranges: { tau: TimeConstant, threshold: Positive },
    choices: { reset: "hard", decayInput: true },
    states: ["membrane"],
    step: ({ x, before, p, choices, spike }) => {
      const u = maximum(charged(before.membrane, x, p, choices).times(p.k), 0)
      const output = spike(u.minus(p.threshold))
      return { states: { membrane: afterReset(choices.reset, u, output, p.threshold, p.resetPotential) }, output }
    },
  })
