/** The instruction set: two lines per kernel, the type of its attributes and the kernel. Backends implement these names. */
import { copy, firingRate, zero } from "./bookkeeping.ts"
import {
  type ElementwiseBackward,
  type ElementwiseForward,
  elementwiseBackward,
  elementwiseForward,
} from "./expressions/elementwise.ts"
import type { AnyKernel, Kernel } from "./kernel.ts"
import { type LossAttributes, lossBackward, lossForward } from "./loss.ts"
import { adaptiveAveragePoolBackward, adaptiveAveragePoolForward } from "./ops/adaptive-average-pool.ts"
import { averagePoolBackward, averagePoolForward } from "./ops/average-pool.ts"
import { batchNormBackward, batchNormForward, batchNormInference } from "./ops/batch-norm.ts"
import { biasGradient } from "./ops/bias.ts"
import { type Convolution, convForward, convInputGradient, convWeightGradient } from "./ops/conv2d.ts"
import { dropoutMask } from "./ops/dropout.ts"
import { type EligibilityAttributes, eligibility } from "./ops/eligibility.ts"
import { linearForward, linearInputGradient, linearWeightGradient } from "./ops/linear.ts"
import { maxPoolBackward, maxPoolForward } from "./ops/max-pool.ts"
import { type Rearrangement, rearrange } from "./ops/rearrange.ts"
import { weightStandardizationBackward, weightStandardizationForward } from "./ops/weight-standardization.ts"
import type { WeightedWindow, Window } from "./ops/window.ts"

type None = Readonly<Record<never, unknown>>

/** The names of the kernels, and the attributes of each one's instructions. */
export interface KernelAttributes {
  readonly "linear.forward": None
  readonly "linear.inputGradient": None
  readonly "linear.weightGradient": None
  readonly eligibility: EligibilityAttributes
  readonly "conv2d.forward": Convolution
  readonly "conv2d.inputGradient": Convolution
  readonly "conv2d.weightGradient": Convolution
  readonly "bias.gradient": None
  readonly "weightStandardization.forward": None
  readonly "weightStandardization.backward": None
  readonly "batchNorm.forward": { readonly updates: number }
  readonly "batchNorm.inference": None
  readonly "batchNorm.backward": None
  readonly "averagePool.forward": WeightedWindow
  readonly "averagePool.backward": WeightedWindow
  readonly "adaptiveAveragePool.forward": None
  readonly "adaptiveAveragePool.backward": None
  readonly "maxPool.forward": Window
  readonly "maxPool.backward": Window
  readonly rearrange: Rearrangement
  readonly "dropout.mask": { readonly rate: number }
  readonly "loss.forward": LossAttributes
  readonly "loss.backward": LossAttributes
  readonly "spikes.rate": { readonly index: number; readonly terms: number }
  readonly zero: None
  readonly copy: None
  readonly "elementwise.forward": ElementwiseForward
  readonly "elementwise.backward": ElementwiseBackward
}

/** The name of a kernel. A table typed over these names does not compile if one is missing. */
export type KernelName = keyof KernelAttributes

/** The kernels whose instructions have attributes. */
export type AttributedKernel = {
  readonly [N in KernelName]: keyof KernelAttributes[N] extends never ? never : N
}[KernelName]

const table = {
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
  "dropout.mask": dropoutMask,
  "loss.forward": lossForward,
  "loss.backward": lossBackward,
  "spikes.rate": firingRate,
  zero,
  copy,
  "elementwise.forward": elementwiseForward,
  "elementwise.backward": elementwiseBackward,
} satisfies {
  // biome-ignore lint/suspicious/noExplicitAny: signatures differ from kernel to kernel
  readonly [N in KernelName]: Kernel<any, KernelAttributes[N], N>
}

/** The types of the kernels, by name. */
export type Kernels = typeof table

/** Every kernel by name. */
export const kernels: ReadonlyMap<string, AnyKernel> = new Map(Object.entries(table))
