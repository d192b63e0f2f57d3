/** The kernel table, by core's names. `dropout.mask`, which draws random numbers, is a host kernel. */
import type { Compositions } from "./composition.ts"
import { convForward, convInputGradient, convWeightGradient } from "./convolution.ts"
import { copy, firingRate, zero } from "./elementwise.ts"
import { eligibility } from "./eligibility.ts"
import { elementwiseBackward, elementwiseForward } from "./expressions.ts"
import { biasGradient, linearForward, linearInputGradient, linearWeightGradient } from "./linear.ts"
import { lossBackward, lossForward } from "./loss.ts"
import {
  batchNormBackward,
  batchNormForward,
  batchNormInference,
  weightStandardizationBackward,
  weightStandardizationForward,
} from "./normalization.ts"
import {
  adaptiveAveragePoolBackward,
  adaptiveAveragePoolForward,
  averagePoolBackward,
  averagePoolForward,
  maxPoolBackward,
  maxPoolBackwardOnGpu,
  maxPoolForward,
  maxPoolForwardOnGpu,
} from "./pooling.ts"
import { rearrange } from "./rearrange.ts"

export const compositions: Omit<Compositions, "dropout.mask"> = {
  "linear.forward": linearForward,
  "linear.inputGradient": linearInputGradient,
  "linear.weightGradient": linearWeightGradient,
  eligibility,
  "conv2d.forward": convForward,
  "conv2d.inputGradient": convInputGradient,
  "conv2d.weightGradient": convWeightGradient,
  "bias.gradient": biasGradient,
  "weightStandardization.forward": weightStandardizationForward,
  "weightStandardization.backward": weightStandardizationBackward,
  "batchNorm.forward": batchNormForward,
  "batchNorm.inference": batchNormInference,
  "batchNorm.backward": batchNormBackward,
  "averagePool.forward": averagePoolForward,
  "averagePool.backward": averagePoolBackward,
  "adaptiveAveragePool.forward": adaptiveAveragePoolForward,
  "adaptiveAveragePool.backward": adaptiveAveragePoolBackward,
  "maxPool.forward": maxPoolForward,
  "maxPool.backward": maxPoolBackward,
  rearrange,
  "loss.forward": lossForward,
  "loss.backward": lossBackward,
  "spikes.rate": firingRate,
  "elementwise.forward": elementwiseForward,
  "elementwise.backward": elementwiseBackward,
  zero,
  copy,
}

/** Replacements for kernels whose composition does not work on TensorFlow.js's WebGPU backend. */
export const compositionsOnGpu: Partial<Compositions> = {
  "maxPool.forward": maxPoolForwardOnGpu,
  "maxPool.backward": maxPoolBackwardOnGpu,
}
