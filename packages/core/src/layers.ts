/** The layers that graphs are built of. */

export { integrateAndFire } from "./neurons/integrate-and-fire.ts"
export { leakyReadout } from "./neurons/leaky-readout.ts"
export { type LifOptions, lif } from "./neurons/lif.ts"
export type { FiringOptions } from "./neurons/neuron.ts"
export { plif } from "./neurons/plif.ts"
export { adaptiveAveragePool } from "./ops/adaptive-average-pool.ts"
export { add, residual } from "./ops/add.ts"
export { averagePool, type PoolOptions } from "./ops/average-pool.ts"
export { batchNorm } from "./ops/batch-norm.ts"
export { type Conv2dOptions, conv2d } from "./ops/conv2d.ts"
export { dropout } from "./ops/dropout.ts"
export { flatten } from "./ops/flatten.ts"
export { type GainOptions, gain } from "./ops/gain.ts"
export { type LinearOptions, linear } from "./ops/linear.ts"
export { maxPool } from "./ops/max-pool.ts"
export { scale } from "./ops/scale.ts"
export {
  type ScaledWeightStandardizedConv2dOptions,
  scaledWeightStandardizedConv2d,
} from "./ops/weight-standardization.ts"
