/**
 * Normaliser-free ResNets (Brock et al., "Characterizing signal propagation to close the performance gap in unnormalized ResNets",
 * ICLR 2021) with spiking neurons, as trained on ImageNet in the SLTT paper (Meng et al., ICCV 2023). Parameters have the names of
 * the authors' PyTorch code.
 *
 * Scaled weight standardisation replaces batch norm. Spikes are scaled by 2.74 to preserve the variance; the factor is multiplied
 * into the standardised weights, so that convolutions still read spikes.
 */
import { Schema } from "effect"
import { block, type Layer, named, sequential } from "../graph/builder.ts"
import { kaimingNormal, zeros } from "../initializers.ts"
import {
  adaptiveAveragePool,
  add,
  averagePool,
  dropout as drop,
  flatten,
  gain,
  lif,
  linear,
  type ScaledWeightStandardizedConv2dOptions,
  scale,
  scaledWeightStandardizedConv2d,
} from "../layers.ts"
import { PositiveInt, Side } from "../ops/window.ts"
import { Flag, positiveWith } from "../options.ts"
import { checked, type Model, type ModelOptions, ModelSchema, model, widened } from "./model.ts"

/** The factor on spikes. */
const spikeFactor = 2.74

/** α, the factor on a block's body. */
const alpha = 0.2

/** A convolution with a square window and padding that preserves the extents at stride 1. */
type Convolution = Omit<ScaledWeightStandardizedConv2dOptions, "padding" | "initial" | "kernelSize"> & {
  readonly kernelSize: number
}

const convolution = (options: Convolution): Layer =>
  scaledWeightStandardizedConv2d({
    ...options,
    padding: (options.kernelSize - 1) / 2,
    initial: { weight: kaimingNormal({ channels: options.channels, kernelSize: options.kernelSize }) },
  })

/** Options of {@link normalizerFreeBlock}. */
export interface NormalizerFreeBlockOptions extends Pick<ModelOptions, "neuron"> {
  /** Channels within the block. */
  readonly channels: number
  /** Default 1. */
  readonly stride?: number
  /** β, the expected standard deviation of the block's input. */
  readonly beta: number
  /** Whether to use 1×1, 3×3 and 1×1 convolutions, the last with four times the channels, instead of two 3×3. Default false. */
  readonly bottleneck?: boolean
}

const Options: Schema.Codec<NormalizerFreeBlockOptions> = Schema.Struct({
  channels: PositiveInt,
  stride: Schema.optionalKey(Side),
  beta: positiveWith("1/beta", (beta) => 1 / beta),
  bottleneck: Schema.optionalKey(Flag),
  neuron: ModelSchema.fields.neuron,
})

/** The ratio of a block's output channels to its inner channels. */
const expansion = (bottleneck: boolean): number => (bottleneck ? 4 : 1)

/**
 * A block of a normaliser-free ResNet: a = 2.74·LIF(x/β), y = α·gain·body(a) + shortcut. The body is a chain of convolutions with
 * 2.74·LIF between them. The shortcut is a 1×1 convolution of a if the shape changes, else x itself. The gain is trained and starts
 * at 0 (SkipInit).
 *
 * @throws GraphError while the graph is built, for invalid options
 */
export const normalizerFreeBlock = (options: NormalizerFreeBlockOptions): Layer =>
  checked("normalizerFreeBlock", Options, options, ({ channels, stride = 1, beta, bottleneck = false, neuron }) =>
    block((x) => {
      const outputs = channels * expansion(bottleneck)
      const spikes = (beta === 1 ? x : scale(1 / beta)(x)).pipe(named("lif1", lif(neuron)))
      const on = (options: Pick<Convolution, "channels" | "kernelSize" | "stride">) =>
        convolution({ ...options, inputFactor: spikeFactor })
      const body = bottleneck
        ? spikes.pipe(
            named("conv1", on({ channels, kernelSize: 1 })),
            named("lif2", lif(neuron)),
            named("conv2", on({ channels, kernelSize: 3, stride })),
            named("lif3", lif(neuron)),
            named("conv3", on({ channels: outputs, kernelSize: 1 })),
          )
        : spikes.pipe(
            named("conv1", on({ channels, kernelSize: 3, stride })),
            named("lif2", lif(neuron)),
            named("conv2", on({ channels, kernelSize: 3 })),
          )
      const reshapes = stride !== 1 || x.shape.at(-1) !== outputs
      return add(
        body.pipe(gain({ parameter: "skipinit_gain", initial: 0 }), scale(alpha)),
        reshapes ? spikes.pipe(named("downsample", on({ channels: outputs, kernelSize: 1, stride }))) : x,
      )
    }),
  )

interface Blocks {
  readonly blocks: readonly [number, number, number, number]
  readonly bottleneck: boolean
}

/** β after `blocks` blocks of a stage: the first block of a stage resets the variance to 1, and every block adds α². */
const betaAfter = (blocks: number): number => Math.sqrt(1 + blocks * alpha ** 2)

const normalizerFreeResNet = (name: string, { blocks, bottleneck }: Blocks): Model =>
  model(name, (classes, { width, dropout, neuron }) => {
    const stage = (channels: number, stride: number, length: number, before: number): Layer =>
      sequential(
        ...Array.from({ length }, (_, i) =>
          normalizerFreeBlock({
            channels: widened(channels, width),
            stride: i === 0 ? stride : 1,
            beta: betaAfter(i === 0 ? before : i),
            bottleneck,
            neuron,
          }),
        ),
      )
    return block((x) =>
      x.pipe(
        named("conv1", convolution({ channels: widened(64, width), kernelSize: 7, stride: 2 })),
        named("pool", averagePool({ kernelSize: 3, stride: 2, padding: 1 })),
        named("layer1", stage(64, 1, blocks[0], 0)),
        named("layer2", stage(128, 2, blocks[1], blocks[0])),
        named("layer3", stage(256, 2, blocks[2], blocks[1])),
        named("layer4", stage(512, 2, blocks[3], blocks[2])),
        named("avgpool", adaptiveAveragePool({ outputSize: 1 })),
        named("flatten", flatten()),
        named("drop", drop(dropout)),
        named("fc", linear({ features: classes, initial: { weight: zeros, bias: zeros } })),
      ),
    )
  })

/** Normaliser-free ResNet-34 for ImageNet: input [224, 224, 3]. */
export const nfresnet34: Model = normalizerFreeResNet("nfresnet34", { blocks: [3, 4, 6, 3], bottleneck: false })

/** Normaliser-free ResNet-50 for ImageNet: input [224, 224, 3]. */
export const nfresnet50: Model = normalizerFreeResNet("nfresnet50", { blocks: [3, 4, 6, 3], bottleneck: true })

/** Normaliser-free ResNet-101 for ImageNet: input [224, 224, 3]. */
export const nfresnet101: Model = normalizerFreeResNet("nfresnet101", { blocks: [3, 4, 23, 3], bottleneck: true })
