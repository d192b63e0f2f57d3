/** Kernels that are no op of a graph: clearing and copying memory, counting spikes, traces of activity. */
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

/** trace = λ·trace + x: a presynaptic trace. λ is an attribute, or an operand where it is learnt. */
export const updateTrace = kernel<{ readonly decay?: number }>()({
  name: "trace.update",
  operands: { x: "read", decay: "read?", trace: "update" },
})

export const updateTraceReference: Reference<typeof updateTrace> = {
  cost: ({ x }) => elementwise(size(x.shape), 1, 1),
  run: ({ x, decay, trace }, attributes) => {
    const factor = decay?.data[0] ?? attributes.decay ?? 1
    for (let i = 0; i < x.data.length; i++) trace.data[i] = factor * trace.data[i]! + x.data[i]!
  },
}

/** metrics[index] += mean(spikes)/terms: after so many calls, one for each step of each micro-batch, the layer's firing rate. */
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
