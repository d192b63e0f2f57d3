/**
 * A depthwise-separable network for microcontrollers, after MobileNet (Howard et al., "MobileNets: efficient convolutional neural networks
 * for mobile vision applications", 2017), with spiking neurons: each 3×3 convolution filters every channel by itself, and a 1×1
 * convolution mixes the channels.
 */
import { block, type Layer, named, sequential } from "../graph/builder.ts"
import { adaptiveAveragePool, batchNorm, conv2d, dropout as drop, flatten, lif, linear } from "../layers.ts"
import { type Model, model, widened } from "./model.ts"

/** Channels and stride of the depthwise-separable blocks. */
const blocks = [
  [32, 1],
  [64, 2],
  [64, 1],
  [128, 2],
  [128, 1],
] as const

/**
 * The spiking MobileNet: conv 3×3, stride 2, 16 channels – BN – LIF; five blocks (depthwise 3×3 – BN – LIF – conv 1×1 – BN – LIF) to 32, 64,
 * 64, 128 and 128 channels, the second and fourth with stride 2; global average pool – linear. 36,874 parameters for [28, 28, 1]
 * and 10 classes, 37,162 for [32, 32, 3].
 */
export const mobilenet: Model = model("mobilenet", (classes, { width, dropout, neuron }) => {
  const rest = (): ReadonlyArray<Layer> => [batchNorm(), lif(neuron)]
  const separable = (channels: number, stride: number): Layer =>
    block((x) => {
      const inputs = x.shape.at(-1)!
      const depthwise = { channels: inputs, groups: inputs, kernelSize: 3, stride, padding: 1, bias: false }
      return x.pipe(
        sequential(conv2d(depthwise), ...rest(), conv2d({ channels, kernelSize: 1, bias: false }), ...rest()),
      )
    })
  const stem = conv2d({ channels: widened(16, width), kernelSize: 3, stride: 2, padding: 1, bias: false })
  return block((x) =>
    x.pipe(
      named("stem", sequential(stem, ...rest())),
      named("blocks", sequential(...blocks.map(([channels, stride]) => separable(widened(channels, width), stride)))),
      named("pool", adaptiveAveragePool({ outputSize: 1 })),
      named("flat", flatten()),
      named("drop", drop(dropout)),
      named("classifier", linear({ features: classes })),
    ),
  )
})
