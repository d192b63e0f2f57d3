/** Kernels that belong to no op: clearing and copying memory, counting spikes. */
import { elementwise, make as kernel, noCost, type Reference } from "./kernel.ts"
import { size } from "./shape.ts"

/** target = 0 */
export const zero = kernel()({
  name: "zero",
  operands: { target: "write" },
})

export const zeroReference: Reference<typeof zero> = {
  cost: () => noCost,
  run: ({ target }) => {
    target.data.fill(0)
  },
}

/** target = source */
export const copy = kernel()({
  name: "copy",
  operands: { source: "read", target: "write" },
})

export const copyReference: Reference<typeof copy> = {
  cost: () => noCost,
  run: ({ source, target }) => {
    target.data.set(source.data)
  },
}

/**
 * metrics[index] += mean(spikes)/terms. With one call per step and micro-batch (`terms` calls in all), the sum is the layer's
 * firing rate.
 */
export const firingRate = kernel<{ readonly index: number; readonly terms: number }>()({
  name: "spikes.rate",
  operands: { spikes: "read", metrics: "update" },
})

export const firingRateReference: Reference<typeof firingRate> = {
  cost: ({ spikes }) => elementwise(size(spikes.shape), 0, 1),
  run: ({ spikes, metrics }, { index, terms }) => {
    let count = 0
    for (let i = 0; i < spikes.data.length; i++) count += spikes.data[i]!
    metrics.data[index]! += count / spikes.data.length / terms
  },
}
