/**
 * Pre-activation ResNets (He et al., "Identity mappings in deep residual networks", ECCV 2016) with spiking neurons, as trained on
 * CIFAR in the SLTT paper (Meng et al., ICCV 2023). Parameters have the names of the authors' PyTorch code.
 */
import { Schema } from "effect"
import { block, type Layer, named, sequential } from "../graph/builder.ts"
import { kaimingNormal, zeros } from "../initializers.ts"
import {
  adaptiveAveragePool,
  add,
  batchNorm,
  type Conv2dOptions,
  conv2d,
  dropout as drop,
  flatten,
  lif,
  linear,
} from "../layers.ts"
import { PositiveInt, Side } from "../ops/window.ts"
import { checked, type Model, type ModelOptions, ModelSchema, model, widened } from "./model.ts"

/** A convolution with Kaiming initialisation of weights; biases start as in PyTorch. */
const convolution = (options: Conv2dOptions): Layer =>
  conv2d({
    ...options,
    initial: { weight: kaimingNormal({ channels: options.channels, kernelSize: options.kernelSize }) },
  })

/** Options of {@link preActivationBlock}. */
export interface PreActivationBlockOptions extends Pick<ModelOptions, "dropout" | "neuron"> {
  readonly channels: number
  /** Default 1. */
  readonly stride?: number
}

const { dropout, neuron } = ModelSchema.fields
const Options: Schema.Codec<PreActivationBlockOptions> = Schema.Struct({
  ...{ channels: PositiveInt, stride: Schema.optionalKey(Side), dropout, neuron },
})

/**
 * A block of a pre-activation ResNet: a = LIF(BN(x)), y = conv(dropout(LIF(BN(conv(a))))) + shortcut(a). The shortcut is a 1×1
 * convolution if the shape changes, else a itself (the activated input, not x).
 *
 * @throws GraphError while the graph is built, for invalid options
 */
export const preActivationBlock = (options: PreActivationBlockOptions): Layer =>
  checked("preActivationBlock", Options, options, ({ channels, stride = 1, dropout = 0, neuron }) =>
    block((x) => {
      const a = x.pipe(named("bn1", batchNorm()), named("lif1", lif(neuron)))
      const body = a.pipe(
        named("conv1", convolution({ channels, kernelSize: 3, stride, padding: 1 })),
        named("bn2", batchNorm()),
        named("lif2", lif(neuron)),
        named("dropout", drop(dropout)),
        named("conv2", convolution({ channels, kernelSize: 3, padding: 1 })),
      )
      const reshapes = stride !== 1 || x.shape.at(-1) !== channels
      return add(body, reshapes ? a.pipe(named("shortcut", convolution({ channels, kernelSize: 1, stride }))) : a)
    }),
  )

/** Four stages with the given numbers of blocks. For CIFAR images, the global average pool covers 4×4 pixels. */
const preActivationResNet = (name: string, blocks: readonly [number, number, number, number]): Model =>
  model(name, (classes, { width, dropout, neuron }) => {
    const stage = (channels: number, stride: number, length: number): Layer =>
      sequential(
        ...Array.from({ length }, (_, i) =>
          preActivationBlock({ channels: widened(channels, width), stride: i === 0 ? stride : 1, dropout, neuron }),
        ),
      )
    return block((x) =>
      x.pipe(
        named("conv1", convolution({ channels: widened(64, width), kernelSize: 3, padding: 1, bias: false })),
        named("layer1", stage(64, 1, blocks[0])),
        named("layer2", stage(128, 2, blocks[1])),
        named("layer3", stage(256, 2, blocks[2])),
        named("layer4", stage(512, 2, blocks[3])),
        named("bn1", batchNorm()),
        named("lif1", lif(neuron)),
        named("pool", adaptiveAveragePool({ outputSize: 1 })),
        named("flat", flatten()),
        named("drop", drop(dropout)),
        named("linear", linear({ features: classes, initial: { bias: zeros } })),
      ),
    )
  })

/** Pre-activation ResNet-18 for CIFAR: input [32, 32, 3]. */
export const resnet18: Model = preActivationResNet("resnet18", [2, 2, 2, 2])

/** Pre-activation ResNet-34 for CIFAR: input [32, 32, 3]. */
export const resnet34: Model = preActivationResNet("resnet34", [3, 4, 6, 3])
