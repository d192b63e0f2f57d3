/** Eligibility traces with one number per synapse, sample and state; see `program/lower/eligibility.ts`. */
import { accumulates, addCost, make as kernel, noCost, type Reference } from "../kernel.ts"
import { size } from "../shape.ts"

/** Attributes of the `eligibility` kernel. */
export interface EligibilityAttributes {
  /** S, the number of states. */
  readonly states: number
  /** Index of the first plane of `factors` to read: d, then o (S planes), A (S rows of S), c (S). */
  readonly first: number
}

/**
 * Updates the traces ε of a weight layer followed by neurons, from the gradient of the neurons' outputs ∂y [N, out] and the weight
 * layer's input x [N, in]:
 *
 *     ∂W[i, j] += Σₙ ∂y[n, j]·(Σₗ o[l, n, j]·ε[l, n, i, j] + d[n, j]·x[n, i])
 *     ε[k, n, i, j] ← Σₗ A[k, l, n, j]·ε[l, n, i, j] + c[k, n, j]·x[n, i]
 */
export const eligibility = kernel<EligibilityAttributes>()({
  name: "eligibility",
  operands: {
    x: "read",
    factors: "read",
    outputGradient: "read?",
    trace: "update",
    weightGradient: "gradient?",
  },
})

export const eligibilityReference: Reference<typeof eligibility> = {
  cost: ({ trace, weightGradient, x }, { states }) => {
    const synapses = size(trace.shape) / states
    const moved = accumulates(synapses * states * (states + 1), { ...x, elements: "float32" })
    return weightGradient
      ? addCost(moved, accumulates(synapses * (states + 2), { ...x, elements: "float32" }))
      : addCost(noCost, moved)
  },
  run: ({ x, factors, outputGradient, trace, weightGradient }, { states, first }) => {
    const [samples, outputs] = factors.shape.slice(-2) as [number, number]
    const inputs = x.data.length / samples
    const plane = samples * outputs
    const sums = new Float64Array(inputs * outputs)
    const own = new Float64Array(states)
    for (let n = 0; n < samples; n++)
      for (let i = 0; i < inputs; i++)
        for (let j = 0; j < outputs; j++) {
          const factor = (k: number): number => factors.data[(first + k) * plane + n * outputs + j]!
          const at = (k: number): number => ((k * samples + n) * inputs + i) * outputs + j
          const seen = x.data[n * inputs + i]!
          let change = factor(0) * seen
          for (let l = 0; l < states; l++) {
            own[l] = trace.data[at(l)]!
            change += factor(1 + l) * own[l]!
          }
          if (outputGradient) sums[i * outputs + j]! += outputGradient.data[n * outputs + j]! * change
          for (let k = 0; k < states; k++) {
            let moved = factor(states + 1 + states * states + k) * seen
            for (let l = 0; l < states; l++) moved += factor(states + 1 + k * states + l) * own[l]!
            trace.data[at(k)] = moved
          }
        }
    if (weightGradient) for (let i = 0; i < sums.length; i++) weightGradient.data[i]! += sums[i]!
  },
}
