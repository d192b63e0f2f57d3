import { make, type NeuronLayer } from "./define.ts"
import { afterReset } from "./reset.ts"

/**
 * Resonate-and-fire neurons (Izhikevich, Neural Networks 2001): a damped oscillator z = i + j·v, j² = −1, with dz/dt = (b + j·ω)·z
 * + x. It fires when its imaginary part v, the membrane potential, reaches the threshold, and is then reset to z = j. Discretised
 * by the Euler method with one step per time step:
 *
 *     i[t] = i[t−1] + b·i[t−1] − ω·v[t−1] + x[t]        0 if it fired
 *     u[t] = v[t−1] + ω·i[t−1] + b·v[t−1],  s[t] = [u[t] ≥ ϑ],  v[t] = v_reset if it fired, else u[t]
 *
 * `damping` is b (default −0.1), `frequency` ω in radians per time step (default 0.3); oscillations decay if (1 + b)² + ω² < 1.
 * `threshold` is ϑ (default 1), `resetPotential` v_reset (default 1). `reset` is hard by default; other resets do not change the
 * current.
 */
export const resonateAndFire: NeuronLayer<
  "damping" | "frequency" | "threshold" | "resetPotential",
  "current" | "membrane",
  "reset"
> = /* @__PURE__ */ make("resonateAndFire", {
  parameters: { damping: -0.1, frequency: 0.3, threshold: 1, resetPotential: 1 },
  choices: { reset: "hard" },
  states: ["current", "membrane"],
  step: ({ x, before: { current: i, membrane: v }, p, choices, spike }) => {
    const current = i.plus(i.times(p.damping)).minus(v.times(p.frequency)).plus(x)
    const u = v.plus(i.times(p.frequency)).plus(v.times(p.damping))
    const output = spike(u.minus(p.threshold))
    return {
      states: {
        current: choices.reset === "hard" ? afterReset("hard", current, output, p.threshold) : current,
        membrane: afterReset(choices.reset, u, output, p.threshold, p.resetPotential),
      },
      output,
    }
  },
})
