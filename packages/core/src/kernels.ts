/** The instruction set: a line for each kernel. Backends implement these names. */
import { copy, firingRate, updateTrace, zero } from "./bookkeeping.ts"
import type { AnyKernel } from "./kernel.ts"
import { accumulateOutputs, lossBackward, lossForward } from "./loss.ts"
import { readoutBackward, readoutForward } from "./neurons/leaky-readout.ts"
import { neuronBackward, neuronForward } from "./neurons/neuron.ts"
import { decayBackward, decayForward } from "./neurons/plif.ts"
import { adaptiveAveragePoolBackward, adaptiveAveragePoolForward } from "./ops/adaptive-average-pool.ts"
import { addBackward, addForward } from "./ops/add.ts"
import { averagePoolBackward, averagePoolForward } from "./ops/average-pool.ts"
import { batchNormBackward, batchNormForward, batchNormInference } from "./ops/batch-norm.ts"
import { biasGradient } from "./ops/bias.ts"
import { convForward, convInputGradient, convWeightGradient } from "./ops/conv2d.ts"
import { dropoutBackward, dropoutForward, dropoutMask } from "./ops/dropout.ts"
import { gainBackward, gainForward } from "./ops/gain.ts"
import { linearForward, linearInputGradient, linearWeightGradient } from "./ops/linear.ts"
import { maxPoolBackward, maxPoolForward } from "./ops/max-pool.ts"
import { scaleBackward, scaleForward } from "./ops/scale.ts"
import { weightStandardizationBackward, weightStandardizationForward } from "./ops/weight-standardization.ts"
import { adamUpdate } from "./optimizers/adam.ts"
import { sgdUpdate } from "./optimizers/sgd.ts"

const all: ReadonlyArray<AnyKernel> = [
  linearForward,
  linearInputGradient,
  linearWeightGradient,
  convForward,
  convInputGradient,
  convWeightGradient,
  biasGradient,
  weightStandardizationForward,
  weightStandardizationBackward,
  batchNormForward,
  batchNormInference,
  batchNormBackward,
  averagePoolForward,
  averagePoolBackward,
  adaptiveAveragePoolForward,
  adaptiveAveragePoolBackward,
  maxPoolForward,
  maxPoolBackward,
  dropoutMask,
  dropoutForward,
  dropoutBackward,
  addForward,
  addBackward,
  scaleForward,
  scaleBackward,
  gainForward,
  gainBackward,
  neuronForward,
  neuronBackward,
  decayForward,
  decayBackward,
  readoutForward,
  readoutBackward,
  lossForward,
  lossBackward,
  accumulateOutputs,
  firingRate,
  zero,
  copy,
  updateTrace,
  sgdUpdate,
  adamUpdate,
]

/** The name of a kernel. */
export type KernelName = AnyKernel["name"]

/** Every kernel by name. */
export const kernels: ReadonlyMap<string, AnyKernel> = new Map(all.map((kernel) => [kernel.name, kernel]))
