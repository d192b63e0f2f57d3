import { Share } from "../options.ts"
import { make, type ReadoutLayer } from "./define.ts"

/**
 * Current-based leaky read-out: a current-based neuron that never fires; its potential is the output (`LICell` in Norse, `Synaptic`
 * without reset in snnTorch):
 *
 *     i[t] = α·i[t−1] + x[t],  y[t] = v[t] = λ·v[t−1] + i[t]
 *
 * `currentDecay` is α (default 0.9), `decay` λ (default 0.8).
 */
export const currentBasedReadout: ReadoutLayer<"currentDecay" | "decay", "current" | "membrane"> = /* @__PURE__ */ make(
  "currentBasedReadout",
  {
    parameters: { currentDecay: 0.9, decay: 0.8 },
    ranges: { currentDecay: Share, decay: Share },
    states: ["current", "membrane"],
    surrogate: "none",
    step: ({ x, before, p }) => {
      const current = before.current.times(p.currentDecay).plus(x)
      const membrane = before.membrane.times(p.decay).plus(current)
      return { states: { current, membrane }, output: membrane }
    },
  },
)
