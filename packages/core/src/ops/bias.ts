import { elementwise, make, type Reference } from "../kernel.ts"
import { size } from "../shape.ts"

/** ∂b[c] += Σ ∂y[…, c] over all axes except the channels */
export const biasGradient = make()({
  name: "bias.gradient",
  operands: { outputGradient: "read", biasGradient: "gradient" },
})

export const biasGradientReference: Reference<typeof biasGradient> = {
  cost: ({ outputGradient }) => elementwise(size(outputGradient.shape), 0, 1),
  run: ({ outputGradient, biasGradient }) => {
    const channels = biasGradient.data.length
    const sums = new Float64Array(channels)
    for (let i = 0; i < outputGradient.data.length; i += channels)
      for (let c = 0; c < channels; c++) sums[c]! += outputGradient.data[i + c]!
    for (let c = 0; c < channels; c++) biasGradient.data[c]! += sums[c]!
  },
}
