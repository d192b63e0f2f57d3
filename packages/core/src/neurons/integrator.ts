import { make, type ReadoutLayer } from "./define.ts"

/** Integrator: a read-out without leak, whose output is the sum of its inputs so far, y[t] = v[t] = v[t−1] + x[t]. */
export const integrator: ReadoutLayer<never, "membrane"> = /* @__PURE__ */ make("integrator", {
  parameters: {},
  states: ["membrane"],
  surrogate: "none",
  step: ({ x, before }) => {
    const membrane = before.membrane.plus(x)
    return { states: { membrane }, output: membrane }
  },
})
