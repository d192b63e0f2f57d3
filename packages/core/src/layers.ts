/** The layers that graphs are built from. */

export { type ElementwiseOptions, elementwise } from "./expressions/layer.ts"
export { adaptiveLif } from "./neurons/adaptive-lif.ts"
export { adEx } from "./neurons/adex.ts"
export { alphaSynapseLif } from "./neurons/alpha-synapse-lif.ts"
export { balancedResonateAndFire } from "./neurons/balanced-resonate-and-fire.ts"
export { currentBasedLif } from "./neurons/current-based-lif.ts"
export { currentBasedReadout } from "./neurons/current-based-readout.ts"
export { exponentialIntegrateAndFire } from "./neurons/exponential-integrate-and-fire.ts"
export { integrateAndFire } from "./neurons/integrate-and-fire.ts"
export { integrator } from "./neurons/integrator.ts"
export { izhikevich } from "./neurons/izhikevich.ts"
export { klif } from "./neurons/klif.ts"
export { type FiringOptions, FiringSchema } from "./neurons/leaky.ts"
export { LeakyReadoutSchema, leakyReadout } from "./neurons/leaky-readout.ts"
export { liaf } from "./neurons/liaf.ts"
export { type LifOptions, LifSchema, lif } from "./neurons/lif.ts"
export { PlifSchema, plif } from "./neurons/plif.ts"
export { quadraticIntegrateAndFire } from "./neurons/quadratic-integrate-and-fire.ts"
export { resonateAndFire } from "./neurons/resonate-and-fire.ts"
export { seAdLif } from "./neurons/se-adlif.ts"
export { deltaEncoder, sigmaDelta } from "./neurons/sigma-delta.ts"
export {
  AdaptiveAveragePool1dSchema,
  AdaptiveAveragePoolSchema,
  adaptiveAveragePool,
  adaptiveAveragePool1d,
} from "./ops/adaptive-average-pool.ts"
export { add, residual } from "./ops/add.ts"
export { averagePool, type PoolOptions, PoolSchema } from "./ops/average-pool.ts"
export { batchNorm } from "./ops/batch-norm.ts"
export { type ConcatenateOptions, ConcatenateSchema, concatenate } from "./ops/concatenate.ts"
export {
  type ConvTranspose1dOptions,
  ConvTranspose1dSchema,
  type ConvTranspose2dOptions,
  ConvTranspose2dSchema,
  convTranspose1d,
  convTranspose2d,
} from "./ops/conv-transpose.ts"
export { type Conv1dOptions, Conv1dSchema, conv1d } from "./ops/conv1d.ts"
export { type Conv2dOptions, Conv2dSchema, conv2d } from "./ops/conv2d.ts"
export {
  type DelayOptions,
  DelaySchema,
  delay,
  feedback,
  type RecurrentOptions,
  RecurrentSchema,
  recurrent,
} from "./ops/delay.ts"
export { DropoutSchema, dropout } from "./ops/dropout.ts"
export { flatten } from "./ops/flatten.ts"
export { type GainOptions, GainSchema, gain } from "./ops/gain.ts"
export { type LinearOptions, LinearSchema, linear } from "./ops/linear.ts"
export { maxPool } from "./ops/max-pool.ts"
export { averagePool1d, maxPool1d, type Pool1dOptions, Pool1dSchema, sumPool1d } from "./ops/pool1d.ts"
export { ReshapeSchema, reshape } from "./ops/reshape.ts"
export { ScaleSchema, scale } from "./ops/scale.ts"
export { type SliceOptions, SliceSchema, slice } from "./ops/slice.ts"
export { sumPool } from "./ops/sum-pool.ts"
export { TransposeSchema, transpose } from "./ops/transpose.ts"
export { Upsample1dSchema, UpsampleSchema, upsample, upsample1d } from "./ops/upsample.ts"
export {
  type ScaledWeightStandardizedConv2dOptions,
  ScaledWeightStandardizedConv2dSchema,
  scaledWeightStandardizedConv2d,
} from "./ops/weight-standardization.ts"
export type { Extents, Padding, PaddingOption, Sides } from "./ops/window.ts"
