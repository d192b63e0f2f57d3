import type { Expression } from "../expressions/expression.ts"
import { make, type NeuronLayer } from "./define.ts"
import { afterReset } from "./reset.ts"

/**
 * Izhikevich neurons (IEEE Transactions on Neural Networks 2003), in millivolts and milliseconds: dv/dt = 0.04·v² + 5·v + 140 − w +
 * x and dw/dt = a·(b·v − w). A neuron fires when v ≥ 30, which sets v to c and adds d to w. As in the paper's program, a time step
 * is 1 ms: two Euler steps of 0.5 ms for v, then one of 1 ms for w:
 *
 *     f(v) = v + ½·(0.04·v² + 5·v + 140 − w[t−1] + x[t]),  u[t] = f(f(v[t−1])),  s[t] = [u[t] ≥ ϑ]
 *     v[t] = c if it fired, else u[t],  w[t] = w[t−1] + a·(b·u[t] − w[t−1]) + d·s[t]
 *
 * Defaults (regular spiking): `a` 0.02, `b` 0.2, `c` −65, `d` 8, `threshold` ϑ 30. The states `membrane` (v) and `recovery` (w; u
 * in the paper) start at rest, −65 and −13. The default surrogate is a triangle over ±30 mV.
 */
export const izhikevich: NeuronLayer<"a" | "b" | "c" | "d" | "threshold", "membrane" | "recovery"> =
  /* @__PURE__ */ make("izhikevich", {
    parameters: { a: 0.02, b: 0.2, c: -65, d: 8, threshold: 30 },
    states: ["membrane", "recovery"],
    initial: { membrane: -65, recovery: -13 },
    surrogate: { name: "triangle", alpha: 1 / 30 },
    step: ({ x, before, p, spike }) => {
      const input = x.plus(140).minus(before.recovery)
      const halfStep = (v: Expression) => v.plus(v.times(0.04).plus(5).times(v).plus(input).times(0.5))
      const u = halfStep(halfStep(before.membrane))
      const output = spike(u.minus(p.threshold))
      const pull = u.times(p.b).minus(before.recovery).times(p.a)
      return {
        states: {
          membrane: afterReset("hard", u, output, p.threshold, p.c),
          recovery: before.recovery.plus(pull).plus(output.times(p.d)),
        },
        output,
      }
    },
  })
