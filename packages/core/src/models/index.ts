/** The table of named models: one file per family, one line here per model. */
import { cnn1d } from "./cnn1d.ts"
import { conv } from "./conv.ts"
import { mlp } from "./mlp.ts"
import { mobilenet } from "./mobilenet.ts"
import type { Model } from "./model.ts"
import { nfresnet34, nfresnet50, nfresnet101 } from "./normalizer-free-resnet.ts"
import { resnet18, resnet34 } from "./pre-activation-resnet.ts"
import { recurrent } from "./recurrent.ts"
import { vgg11, vgg13, vgg16 } from "./vgg.ts"

export { type Model, type ModelOptions, ModelSchema } from "./model.ts"
export { type NormalizerFreeBlockOptions, normalizerFreeBlock } from "./normalizer-free-resnet.ts"
export { type PreActivationBlockOptions, preActivationBlock } from "./pre-activation-resnet.ts"
export {
  cnn1d,
  conv,
  mlp,
  mobilenet,
  nfresnet34,
  nfresnet50,
  nfresnet101,
  recurrent,
  resnet18,
  resnet34,
  vgg11,
  vgg13,
  vgg16,
}

/** All models by name. */
export const models = {
  mlp,
  conv,
  recurrent,
  cnn1d,
  mobilenet,
  resnet18,
  resnet34,
  vgg11,
  vgg13,
  vgg16,
  nfresnet34,
  nfresnet50,
  nfresnet101,
} as const satisfies Record<string, Model>

/** The name of a model. */
export type ModelName = keyof typeof models

/** The names of all models. */
export const modelNames = Object.keys(models) as ReadonlyArray<ModelName>
