/**
 * VGG networks (Simonyan & Zisserman, ICLR 2015) with spiking neurons and batch normalisation, as trained on event data in the SLTT
 * paper (Meng et al., ICCV 2023). Parameters have the names of the authors' PyTorch code.
 */
import { block, named, sequential } from "../graph/builder.ts"
import { kaimingNormal, normal, zeros } from "../initializers.ts"
import {
  adaptiveAveragePool,
  averagePool,
  batchNorm,
  conv2d,
  dropout as drop,
  flatten,
  lif,
  linear,
} from "../layers.ts"
import { type Model, model, widened } from "./model.ts"

/**
 * Five stages with the given numbers of convolutions: (conv 3×3 – BN – LIF – dropout) × n – average pool 2; then 7×7 pixels and one
 * linear layer.
 */
const vgg = (name: string, convolutions: readonly [number, number, number, number, number]): Model =>
  model(name, (classes, { width, dropout, neuron }) => {
    const stage = (channels: number, length: number) => {
      const size = { channels: widened(channels, width), kernelSize: 3 }
      const convolution = [
        conv2d({ ...size, padding: 1, initial: { weight: kaimingNormal(size), bias: zeros } }),
        batchNorm(),
        lif(neuron),
        drop(dropout),
      ]
      return sequential(...Array.from({ length }, () => convolution).flat(), averagePool({ kernelSize: 2 }))
    }
    return block((x) =>
      x.pipe(
        named("layer1", stage(64, convolutions[0])),
        named("layer2", stage(128, convolutions[1])),
        named("layer3", stage(256, convolutions[2])),
        named("layer4", stage(512, convolutions[3])),
        named("layer5", stage(512, convolutions[4])),
        named("avgpool", adaptiveAveragePool({ outputSize: 7 })),
        named(
          "classifier",
          sequential(flatten(), linear({ features: classes, initial: { weight: normal(0.01), bias: zeros } })),
        ),
      ),
    )
  })

/** VGG-11 for event frames with two polarities: input [height, width, 2]. */
export const vgg11: Model = vgg("vgg11", [1, 1, 2, 2, 2])

/** VGG-13 for event frames with two polarities: input [height, width, 2]. */
export const vgg13: Model = vgg("vgg13", [2, 2, 2, 2, 2])

/** VGG-16 for event frames with two polarities: input [height, width, 2]. */
export const vgg16: Model = vgg("vgg16", [2, 2, 3, 3, 3])
